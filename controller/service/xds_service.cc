#include "controller/service/xds_service.h"

#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/runtime/log.h"

namespace pando::controller {
namespace {

namespace discovery = ::envoy::service::discovery::v3;

constexpr char kPandoProxy[] = "pando-proxy";

DeltaRequest ToDeltaRequest(const discovery::DeltaDiscoveryRequest& message, ResourceType type) {
  DeltaRequest request;
  request.type = type;
  request.subscribe = {message.resource_names_subscribe().begin(),
                       message.resource_names_subscribe().end()};
  request.unsubscribe = {message.resource_names_unsubscribe().begin(),
                         message.resource_names_unsubscribe().end()};
  request.initial_versions = {message.initial_resource_versions().begin(),
                              message.initial_resource_versions().end()};
  request.response_nonce = message.response_nonce();
  if (message.has_error_detail()) request.error = message.error_detail().message();
  return request;
}

discovery::DeltaDiscoveryResponse ToMessage(const DeltaResponse& response) {
  discovery::DeltaDiscoveryResponse message;
  message.set_type_url(TypeUrl(response.type));
  message.set_nonce(response.nonce);
  message.mutable_control_plane()->set_identifier("pando");
  for (const DeltaResponse::Item& item : response.resources) {
    discovery::Resource& added = *message.add_resources();
    added.set_name(item.name);
    added.set_version(item.body->version);
    added.mutable_resource()->ParseFromString(item.body->any_bytes);
  }
  for (const std::string& name : response.removed) message.add_removed_resources(name);
  return message;
}

// What Pando's proxy says of itself beyond xDS; an empty value when it says nothing.
const google::protobuf::Value& PandoField(const envoy::config::core::v3::Node& node,
                                          const char* name) {
  const auto& metadata = node.metadata().fields();
  const auto pando = metadata.find("pando");
  if (pando == metadata.end()) return google::protobuf::Value::default_instance();
  const auto& fields = pando->second.struct_value().fields();
  const auto field = fields.find(name);
  return field == fields.end() ? google::protobuf::Value::default_instance() : field->second;
}

}  // namespace

class XdsService::DeltaSession final
    : public LoopStream<discovery::DeltaDiscoveryRequest, discovery::DeltaDiscoveryResponse> {
 public:
  explicit DeltaSession(XdsService& service)
      : LoopStream(service.control_.loop(), service.streams_),
        service_(service),
        stream_(service.resources_) {}

  // Sends what may be sent now.
  void Flush() {
    if (proxy_.empty() || ending()) return;
    for (const DeltaResponse& response : stream_.TakeResponses()) outbox_.push_back(response);
    Report({stream_.TakeCaughtUp(), std::nullopt});
    Pump();
  }

 private:
  void OnOpen() override { service_.sessions_.insert(this); }

  void OnMessage(discovery::DeltaDiscoveryRequest& message) override {
    if (proxy_.empty() && !Identify(message.node())) return;
    if (const ProxyId ended{PandoField(message.node(), "ended").string_value()}; !ended.empty()) {
      return Forget(ended);
    }
    if (PandoField(message.node(), "leaving").bool_value()) {
      if (service_.current_[proxy_] == this) Forget(proxy_);
      return Close(grpc::Status::OK);
    }
    ResourceType type;
    if (!ParseTypeUrl(message.type_url(), &type)) {
      LogDebug("resource type not served", {{"proxy", proxy_.value}, {"type", message.type_url()}});
      return;
    }
    Report(stream_.OnRequest(ToDeltaRequest(message, type)));
    Flush();
  }

  bool Identify(const envoy::config::core::v3::Node& node) {
    if (node.id().empty()) {
      Close({grpc::StatusCode::INVALID_ARGUMENT, "the first request has no node.id"});
      return false;
    }
    proxy_ = {node.id()};
    DeltaSession*& current = service_.current_[proxy_];
    DeltaSession* const previous = std::exchange(current, this);
    const ProxyCapabilities capabilities{.version = node.user_agent_version(),
                                         .reports_drains = node.user_agent_name() == kPandoProxy};
    const ProxyId predecessor{PandoField(node, "predecessor").string_value()};
    service_.control_.Do([&](Cluster& cluster, Instant now, Effects& effects) {
      if (!predecessor.empty()) cluster.ProxyExpected(predecessor, now, effects);
      cluster.ProxyConnected(proxy_, capabilities, now, effects);
    });
    LogDebug("proxy stream begins", {{"proxy", proxy_.value}, {"version", capabilities.version}});
    if (previous != nullptr) {
      LogInfo("a proxy's newer stream replaces its older one", {{"proxy", proxy_.value}});
      previous->Close({grpc::StatusCode::ABORTED, "replaced by a newer stream of this proxy"});
    }
    return true;
  }

  // It has no requests any more: nobody needs to wait for it, not even for its lease.
  void Forget(const ProxyId& proxy) {
    service_.control_.Do([&](Cluster& cluster, Instant now, Effects& effects) {
      cluster.ProxyLeft(proxy, now, effects);
    });
  }

  void Report(const DeltaProgress& progress) {
    if (progress.nack) service_.nacks_total_.Increment();
    if (!progress.nack && !progress.nack_over && progress.acked_endpoints.empty()) return;
    service_.control_.Do([&](Cluster& cluster, Instant now, Effects& effects) {
      for (const auto& [app, generation] : progress.acked_endpoints) {
        cluster.ProxyAcked(proxy_, {app}, generation, now, effects);
      }
      if (progress.nack) cluster.ProxyNacked(proxy_, *progress.nack, now, effects);
      if (progress.nack_over) cluster.ProxyNackOver(proxy_, now, effects);
    });
  }

  std::optional<discovery::DeltaDiscoveryResponse> NextMessage() override {
    if (outbox_.empty()) return std::nullopt;
    const DeltaResponse response = std::move(outbox_.front());
    outbox_.pop_front();
    service_.pushes_total_[static_cast<size_t>(response.type)]->Increment();
    return ToMessage(response);
  }

  void OnEnd() override {
    service_.sessions_.erase(this);
    const auto it = service_.current_.find(proxy_);
    if (it == service_.current_.end() || it->second != this) return;
    service_.current_.erase(it);
    LogDebug("proxy stream ends", {{"proxy", proxy_.value}});
    service_.control_.Do([&](Cluster& cluster, Instant now, Effects& effects) {
      cluster.ProxyDisconnected(proxy_, now, effects);
    });
  }

  XdsService& service_;
  DeltaStream stream_;
  ProxyId proxy_;                     // empty until the first request
  std::deque<DeltaResponse> outbox_;  // bounded: one round per type is unacknowledged at most
};

XdsService::XdsService(ControlLoop& control, OpenStreams& streams, Metrics& metrics)
    : control_(control),
      streams_(streams),
      pushes_(prometheus::BuildCounter()
                  .Name("pando_xds_pushes_total")
                  .Help("xDS responses sent to proxies by resource type")
                  .Register(metrics.registry())),
      nacks_total_(prometheus::BuildCounter()
                       .Name("pando_xds_nacks_total")
                       .Help("xDS responses that proxies refused")
                       .Register(metrics.registry())
                       .Add({})) {
  for (const ResourceType type : kResourceTypes) {
    pushes_total_[static_cast<size_t>(type)] = &pushes_.Add({{"type", ShortName(type)}});
  }
}

XdsService::~XdsService() = default;

grpc::ServerBidiReactor<discovery::DeltaDiscoveryRequest, discovery::DeltaDiscoveryResponse>*
XdsService::DeltaAggregatedResources(grpc::CallbackServerContext* /*context*/) {
  auto* session = new DeltaSession(*this);  // deletes itself, see loop_stream.h
  session->Begin();
  return session;
}

grpc::ServerBidiReactor<discovery::DiscoveryRequest, discovery::DiscoveryResponse>*
XdsService::StreamAggregatedResources(grpc::CallbackServerContext* /*context*/) {
  class Refusal final
      : public grpc::ServerBidiReactor<discovery::DiscoveryRequest, discovery::DiscoveryResponse> {
   public:
    Refusal() {
      Finish({grpc::StatusCode::UNIMPLEMENTED,
              "state-of-the-world xDS is not served; use delta (DeltaAggregatedResources, in "
              "Envoy api_type: DELTA_GRPC)"});
    }
    void OnDone() override { delete this; }
  };
  return new Refusal;
}

void XdsService::PublishTable(const UpstreamTable& table) {
  resources_.Put(ResourceType::kEndpoints, table.app.value, ToEndpointsResource(table));
  FlushSoon();  // also for equal content: its generation may be acknowledged at once
}

void XdsService::RemoveTable(const AppId& app) {
  resources_.Remove(ResourceType::kEndpoints, app.value);
  FlushSoon();
}

void XdsService::PublishRouting(const RoutingConfig& routing) {
  absl::StatusOr<RoutingResources> translated = ToRoutingResources(routing);
  if (!translated.ok()) {
    // Proxies keep what they have, which is better than what they would refuse.
    LogError("routing not published", {{"error", std::string(translated.status().message())}});
    return;
  }
  Replace(ResourceType::kCluster, std::move(translated->clusters));
  Replace(ResourceType::kListener, std::move(translated->listeners));
  Replace(ResourceType::kRoute, std::move(translated->routes));
  FlushSoon();
}

void XdsService::Replace(ResourceType type, NamedResources&& resources) {
  std::vector<std::string> gone;
  for (const auto& [name, body] : resources_.all(type)) {
    if (resources.count(name) == 0) gone.push_back(name);
  }
  for (auto& [name, body] : resources) resources_.Put(type, name, std::move(body));
  for (const std::string& name : gone) resources_.Remove(type, name);
}

void XdsService::FlushSoon() {
  if (std::exchange(flush_posted_, true)) return;
  control_.loop().Post([this] {
    flush_posted_ = false;
    // A flush may set off others' ends, never new sessions' begins: those are posted.
    const std::vector<DeltaSession*> sessions(sessions_.begin(), sessions_.end());
    for (DeltaSession* session : sessions) {
      if (sessions_.count(session) > 0) session->Flush();
    }
  });
}

}  // namespace pando::controller
