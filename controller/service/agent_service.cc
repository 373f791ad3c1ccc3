#include "controller/service/agent_service.h"

#include <algorithm>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/runtime/log.h"
#include "controller/service/agent_translate.h"
#include "controller/service/registry_metrics.h"

namespace pando::controller {
namespace {

constexpr size_t kMaxLogs = 4'096;  // requests open at once, over all agents

}  // namespace

class AgentService::AgentSession final
    : public LoopStream<v1::AgentMessage, v1::ControllerMessage> {
 public:
  explicit AgentSession(AgentService& service)
      : LoopStream(service.control_.loop(), service.streams_), service_(service) {}

  void SetOrders(v1::Orders orders) {
    orders_ = std::move(orders);
    Pump();
  }
  void Send(v1::ControllerMessage message) {
    messages_.push_back(std::move(message));
    Pump();
  }

 private:
  void OnMessage(v1::AgentMessage& message) override {
    if (node_.empty() != (message.kind_case() == v1::AgentMessage::kHello)) {
      return Reject("the first message of a session, and only the first, is a hello");
    }
    switch (message.kind_case()) {
      case v1::AgentMessage::kHello:
        return OnHello(message.hello());
      case v1::AgentMessage::kStatus:
        if (auto report = ToInstanceReport(message.status())) {
          service_.control_.Do([&](Cluster& cluster, Instant now, Effects& effects) {
            cluster.InstanceChanged(node_, *report, now, effects);
          });
        }
        return;
      case v1::AgentMessage::kGone:
        return service_.control_.Do([&](Cluster& cluster, Instant now, Effects& effects) {
          cluster.InstanceGone(node_, {message.gone().assignment_id()}, now, effects);
        });
      case v1::AgentMessage::kHeartbeat:
        service_.observations_.load.NodeSaid(node_, message.heartbeat(),
                                             service_.control_.loop().Now());
        return service_.control_.DoQuietly([&](Cluster& cluster, Instant now, Effects& effects) {
          cluster.NodeHeartbeat(node_, now, effects);
        });
      case v1::AgentMessage::kLogChunk:
        return service_.OnLogChunk(this, message.log_chunk());
      case v1::AgentMessage::KIND_NOT_SET:
        return;  // a newer agent's word
    }
  }

  void OnHello(const v1::Hello& message) {
    const std::string& cluster_id = service_.control_.cluster_id();
    if (!message.cluster_id().empty() && message.cluster_id() != cluster_id) {
      return Reject(absl::StrCat("the agent belongs to cluster ", message.cluster_id(),
                                 ", this is cluster ", cluster_id,
                                 "; its data directory is from elsewhere"));
    }
    const absl::StatusOr<NodeHello> hello = ToNodeHello(message);
    if (!hello.ok()) return Reject(std::string(hello.status().message()));
    absl::Status accepted;
    service_.control_.Do([&](Cluster& cluster, Instant now, Effects& effects) {
      accepted = cluster.NodeConnected(*hello, now, effects);
      if (!accepted.ok()) return;
      Adopt(hello->node);
      // The agent starts from nothing on a new stream: it is told even if nothing changed.
      const auto same_node = [&](const NodeOrders& o) { return o.node == hello->node; };
      if (std::none_of(effects.orders.begin(), effects.orders.end(), same_node)) {
        effects.orders.push_back(cluster.OrdersFor(hello->node));
      }
    });
    if (!accepted.ok()) return Reject(std::string(accepted.message()));
    service_.observations_.targets.NodeAt(
        node_, ReachableAddress(message.http_address(), message.address()));
    LogInfo(
        "agent connected",
        {{"node", node_.value}, {"address", message.address()}, {"version", message.version()}});
  }

  // From here on this stream speaks for the node; an older stream of the same agent does not.
  void Adopt(const NodeId& node) {
    node_ = node;
    AgentSession*& current = service_.sessions_[node];
    AgentSession* const previous = std::exchange(current, this);
    v1::ControllerMessage message;
    v1::Welcome& welcome = *message.mutable_welcome();
    welcome.set_cluster_id(service_.control_.cluster_id());
    welcome.set_term(service_.control_.term());
    welcome.set_heartbeat_interval_ms(static_cast<uint32_t>(service_.heartbeat_interval_.count()));
    Send(std::move(message));
    if (previous != nullptr) {
      previous->Close({grpc::StatusCode::ABORTED, "replaced by a newer session of this agent"});
    }
  }

  void Reject(const std::string& reason) {
    LogWarn("agent rejected", {{"node", node_.value}, {"reason", reason}});
    v1::ControllerMessage message;
    message.mutable_reject()->set_reason(reason);
    Send(std::move(message));
    CloseWhenDrained({grpc::StatusCode::FAILED_PRECONDITION, reason});
  }

  std::optional<v1::ControllerMessage> NextMessage() override {
    v1::ControllerMessage message;
    if (!messages_.empty()) {
      message = std::move(messages_.front());
      messages_.pop_front();
      return message;
    }
    if (orders_) {
      *message.mutable_orders() = *std::exchange(orders_, std::nullopt);
      service_.orders_sent_total_.Increment();
      return message;
    }
    return std::nullopt;
  }

  void OnEnd() override {
    const auto it = service_.sessions_.find(node_);
    if (it == service_.sessions_.end() || it->second != this) {
      return service_.EndLogsOf(this, "its agent connected anew");
    }
    service_.sessions_.erase(it);
    service_.EndLogsOf(this, "its agent is not connected any more");
    LogInfo("agent disconnected", {{"node", node_.value}});
    service_.control_.Do([&](Cluster& cluster, Instant now, Effects& effects) {
      cluster.NodeDisconnected(node_, now, effects);
    });
  }

  AgentService& service_;
  NodeId node_;                                 // empty until the hello is accepted
  std::deque<v1::ControllerMessage> messages_;  // welcome first; bounded by kMaxLogs
  std::optional<v1::Orders> orders_;            // newest, not yet sent
};

AgentService::AgentService(ControlLoop& control, OpenStreams& streams, Observations& observations,
                           Metrics& metrics, Millis heartbeat_interval)
    : control_(control),
      streams_(streams),
      observations_(observations),
      heartbeat_interval_(heartbeat_interval),
      orders_sent_total_(AddCounter(metrics, kOrdersSentTotal)) {}

AgentService::~AgentService() = default;

grpc::ServerBidiReactor<v1::AgentMessage, v1::ControllerMessage>* AgentService::Session(
    grpc::CallbackServerContext* /*context*/) {
  auto* session = new AgentSession(*this);  // deletes itself, see loop_stream.h
  session->Begin();
  return session;
}

void AgentService::SendOrders(const NodeId& node, v1::Orders orders) {
  const auto it = sessions_.find(node);
  if (it != sessions_.end()) it->second->SetOrders(std::move(orders));
}

absl::StatusOr<uint64_t> AgentService::OpenLog(const LogTarget& target, LogSink sink) {
  const auto it = sessions_.find(target.node);
  if (it == sessions_.end()) {
    return absl::UnavailableError(absl::StrCat(target.node.value, " is not connected"));
  }
  if (logs_.size() >= kMaxLogs) {
    return absl::ResourceExhaustedError("too many logs are being read");
  }
  const uint64_t id = next_log_++;
  logs_[id] = {it->second, std::move(sink)};
  v1::ControllerMessage message;
  v1::LogRequest& request = *message.mutable_log_request();
  request.set_request_id(id);
  request.set_assignment_id(target.assignment.value);
  request.set_tail_lines(target.tail_lines);
  request.set_since_unix_ms(target.since_unix_ms);
  request.set_previous(target.previous);
  request.set_follow(target.follow);
  it->second->Send(std::move(message));
  return id;
}

void AgentService::AskForMoreLog(uint64_t request_id) {
  const auto it = logs_.find(request_id);
  if (it == logs_.end()) return;
  v1::ControllerMessage message;
  message.mutable_log_request()->set_request_id(request_id);
  it->second.session->Send(std::move(message));
}

void AgentService::CancelLog(uint64_t request_id) {
  const auto it = logs_.find(request_id);
  if (it == logs_.end()) return;
  v1::ControllerMessage message;
  message.mutable_log_cancel()->set_request_id(request_id);
  AgentSession* const session = it->second.session;
  logs_.erase(it);
  session->Send(std::move(message));
}

void AgentService::OnLogChunk(AgentSession* session, const v1::LogChunk& chunk) {
  const auto it = logs_.find(chunk.request_id());
  if (it == logs_.end() || it->second.session != session) return;  // cancelled meanwhile
  const LogSink sink = it->second.sink;
  if (chunk.end()) logs_.erase(it);
  sink(chunk);
}

void AgentService::EndLogsOf(AgentSession* session, const std::string& reason) {
  std::vector<std::pair<uint64_t, LogSink>> ended;
  for (auto it = logs_.begin(); it != logs_.end();) {
    const bool of_session = it->second.session == session;
    if (of_session) ended.emplace_back(it->first, std::move(it->second.sink));
    it = of_session ? logs_.erase(it) : std::next(it);
  }
  for (const auto& [id, sink] : ended) {
    v1::LogChunk chunk;
    chunk.set_request_id(id);
    chunk.set_end(true);
    chunk.set_error(reason);
    sink(chunk);
  }
}

}  // namespace pando::controller
