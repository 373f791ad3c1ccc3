#include "proxy/net/worker.h"

#include <algorithm>
#include <utility>

#include "absl/strings/string_view.h"
#include "proxy/core/outlier.h"

namespace pando::proxy {
namespace {

constexpr size_t kMaxFreeExchanges = 1'024;
// Without an answer for so long, with requests in hand and others answering: stalled.
constexpr Millis kStall{2'000};
constexpr Millis kStallCheck{200};
constexpr std::chrono::hours kLongAgo{24 * 365};  // longer than any slow start

Instant AnsweredAt(const EndpointCounters& counters) {
  return Instant(Instant::duration(counters.answered_at.load(std::memory_order_relaxed)));
}

}  // namespace

class Worker::TaskTimer final : public Timer {
 public:
  explicit TaskTimer(std::function<void()> task) : task_(std::move(task)) {}
  void OnTimer() override { task_(); }

 private:
  std::function<void()> task_;
};

CompiledTable::CompiledTable(std::shared_ptr<const ProxyTable> from) : table(std::move(from)) {
  for (const auto& [name, route_table] : table->routes) routes.emplace(name, route_table);
}

Worker::Worker(const DataPlaneConfig& config, size_t index, uint64_t seed,
               const std::function<void()>& drained)
    : config_(config),
      index_(index),
      drained_(drained),
      random_(seed),
      pool_(poller_, config.upstream_idle_timeout, config.max_idle_upstream_per_endpoint) {}

Worker::~Worker() {
  Stop();
  // Gives the requests in flight back, so that the counters stay true for others.
  while (!sessions_.empty()) sessions_.front()->Abandon();
}

absl::Status Worker::Start() {
  if (absl::Status status = poller_.Init(); !status.ok()) return status;
  thread_ = std::thread([this] { poller_.Run([this] { OnBatchEnd(); }); });
  return absl::OkStatus();
}

void Worker::Stop() {
  if (!thread_.joinable()) return;
  poller_.Stop();
  thread_.join();
}

void Worker::ApplyTable(std::shared_ptr<const CompiledTable> table) {
  absl::flat_hash_map<std::string, std::shared_ptr<WorkerCluster>> clusters;
  pool_.BeginTable();
  for (const auto& [name, cluster] : table->table->clusters) {
    auto next = std::make_shared<WorkerCluster>(cluster, random_.Next(), stats_.ForCluster(name),
                                                table->shared.at(name), ReadySince(*cluster));
    for (const Endpoint& endpoint : cluster->endpoints) {
      const bool drains = endpoint.health == EndpointHealth::kDraining;
      UpstreamHost* host = drains ? nullptr : pool_.HostOf(endpoint);
      if (host != nullptr) {
        next->suspicion_until = std::max(next->suspicion_until, host->suspicion.until());
        NameHost(*host, name, endpoint);
      }
      next->hosts.push_back(host);
    }
    clusters.emplace(name, std::move(next));
  }
  pool_.EndTable();
  stats_.ForgetInstances();
  clusters_ = std::move(clusters);
  table_ = std::move(table);
  // The new table may have room that the old one had not.
  for (const auto& [name, cluster] : clusters_) {
    if (cluster->shared->room.waiting() > 0) ServeQueue(*cluster);
  }

  std::map<ListenAddress, const Listener*> listeners;
  for (const Listener& listener : table_->table->listeners) {
    const ListenAddress address{listener.address, listener.port};
    listeners[address] = &listener;
    std::unique_ptr<ListenerState>& state = listener_states_[address];
    if (state == nullptr) state = std::make_unique<ListenerState>();
    state->route_table = listener.route_table;
    state->tls.reset();
    state->limits = listener.http.Over(config_.limits);
    state->forward = listener.http.forward;
    state->proxy_protocol = listener.http.proxy_protocol;
  }
  SetCertificates(table_->tls);
  // Also those no table names any more: their clients are served until they leave.
  for (auto& [address, state] : listener_states_) {
    const auto routes = table_->routes.find(state->route_table);
    state->routes = routes == table_->routes.end() ? nullptr : &routes->second;
  }
  for (auto it = accepting_.begin(); it != accepting_.end();) {
    if (listeners.contains(it->first)) {
      ++it;
      continue;
    }
    StopAccepting(std::move(it->second), true);
    it = accepting_.erase(it);
  }
}

std::vector<Instant> Worker::ReadySince(const Cluster& cluster) {
  std::vector<Instant> since;
  if (cluster.slow_start == Millis{0}) return since;
  const auto before = clusters_.find(cluster.name);
  for (const Endpoint& endpoint : cluster.endpoints) {
    // All of a cluster that is new here are as good as each other.
    Instant ready = poller_.now();
    if (before == clusters_.end()) ready -= kLongAgo;
    if (endpoint.health != EndpointHealth::kDraining) {
      const auto [known, is_new] = ready_since_.try_emplace(endpoint.counters, ready);
      ready = known->second;
    }
    since.push_back(ready);
  }
  // Whom nobody else keeps is gone.
  absl::erase_if(ready_since_, [](const auto& entry) { return entry.first.use_count() == 1; });
  return since;
}

void Worker::SetCertificates(const TlsContexts& contexts) {
  for (const auto& [address, context] : contexts) {
    const auto state = listener_states_.find(address);
    if (state != listener_states_.end()) state->second->tls = context;
  }
}

void Worker::NameHost(UpstreamHost& host, const std::string& cluster, const Endpoint& endpoint) {
  const bool same = host.instance == endpoint.instance && host.assignment == endpoint.assignment;
  if (host.stats != nullptr && same) return;
  host.instance = endpoint.instance;
  host.assignment = endpoint.assignment;
  host.stats = stats_.ForInstance(cluster, InstanceName(endpoint), endpoint.assignment);
}

void Worker::StartListening(const Listener& listener, UniqueFd fd) {
  if (draining_) return;
  const ListenAddress address{listener.address, listener.port};
  auto source = std::make_unique<AcceptSource>(*this, *listener_states_.at(address), std::move(fd));
  // Without room to watch it now, it tries again like one that ran out of descriptors.
  if (!source->Start().ok()) source->OnTimer();
  accepting_[address].push_back(std::move(source));
}

void Worker::StopAccepting(std::vector<std::unique_ptr<AcceptSource>> sources, bool take_waiting) {
  for (std::unique_ptr<AcceptSource>& source : sources) {
    source->Stop(take_waiting);
    poller_.Retire(std::move(source));
  }
}

void Worker::Drain(const DrainPlan& plan, std::function<void()> idle) {
  on_idle_ = std::move(idle);
  draining_ = true;
  drain_idle_ = plan.idle;
  for (auto& [address, sources] : accepting_) {
    StopAccepting(std::move(sources), !plan.handed_over);
  }
  accepting_.clear();
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    H1Session& session = **it;
    ++it;  // the session may remove itself
    session.Drain(plan.idle);
  }
}

void Worker::CutRequests() {
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    H1Session& session = **it;
    ++it;
    if (!session.tunnels()) session.Abandon();
  }
}

void Worker::RunAfter(Millis delay, std::function<void()> task) {
  task_timers_.push_back(std::make_unique<TaskTimer>(std::move(task)));
  poller_.timers().Arm(*task_timers_.back(), poller_.now() + delay);
}

// ---- balancing

std::optional<uint32_t> WorkerCluster::IndexOf(const EndpointCounters& endpoint) const {
  for (size_t i = 0; i < hosts.size(); ++i) {
    if (hosts[i] != nullptr && hosts[i]->counters.get() == &endpoint) {
      return static_cast<uint32_t>(i);
    }
  }
  return std::nullopt;
}

ClusterPicker::Context Worker::PickContext(const WorkerCluster& cluster) {
  ClusterPicker::Context context;
  const Instant now = poller_.now();
  context.now = now;
  const bool any_ejected = now < cluster.shared->ejected_until();
  if (now >= cluster.suspicion_until && !any_ejected) return context;
  const bool heed_ejections = any_ejected && !InPanic(*cluster.cluster, now);
  avoid_scratch_.clear();
  for (const UpstreamHost* host : cluster.hosts) {
    const bool avoid = host != nullptr && (host->suspicion.Holds(now) ||
                                           (heed_ejections && IsEjected(*host->counters, now)));
    avoid_scratch_.push_back(avoid ? 1 : 0);
  }
  context.avoid = avoid_scratch_;
  return context;
}

uint64_t Worker::NewTicket(Exchange& exchange) {
  const uint64_t ticket = (++last_ticket_ << 16) | index_;
  tickets_.emplace(ticket, &exchange);
  return ticket;
}

void Worker::ServeQueue(WorkerCluster& cluster) {
  SharedCluster& shared = *cluster.shared;
  while (shared.room.waiting() > 0) {
    ClusterPicker::Context context = PickContext(cluster);
    context.slots = shared.slots();
    std::shared_ptr<EndpointCounters> endpoint;
    const std::optional<WaitingRoom::Ticket> called =
        shared.room.Call([&](const WaitingRoom::Ticket& ticket) {
          context.hash = ticket.hash;
          context.exclude = ticket.tried;
          context.spare = ticket.spare;
          return FindRoom(cluster, context, endpoint);
        });
    if (!called.has_value()) return;
    if (called->worker == index_) {
      Call(called->id, endpoint, cluster.shared, cluster.cluster->name);
      continue;
    }
    Worker* const other = (*peers_)[called->worker].get();
    other->Post([other, id = called->id, endpoint, of_all = cluster.shared,
                 name = cluster.cluster->name] { other->Call(id, endpoint, of_all, name); });
  }
}

WaitingRoom::Verdict Worker::FindRoom(WorkerCluster& cluster, const ClusterPicker::Context& context,
                                      std::shared_ptr<EndpointCounters>& endpoint) {
  while (true) {
    const ClusterPicker::Picked picked = cluster.picker.Pick(context);
    if (picked.index.has_value()) {
      endpoint = cluster.cluster->endpoints[*picked.index].counters;
      if (TryTakeSlot(*endpoint, context.slots)) return WaitingRoom::Verdict::kCall;
      endpoint = nullptr;  // another worker was faster
      continue;
    }
    const bool has_tried = !context.exclude.empty();
    if (has_tried && !picked.full) return WaitingRoom::Verdict::kCall;  // all: it is told so
    return has_tried || picked.bound ? WaitingRoom::Verdict::kPass : WaitingRoom::Verdict::kStop;
  }
}

void Worker::Call(uint64_t ticket, std::shared_ptr<EndpointCounters> endpoint,
                  const std::shared_ptr<SharedCluster>& shared, const std::string& cluster) {
  const auto found = tickets_.find(ticket);
  if (found != tickets_.end()) {
    found->second->OnCalled(std::move(endpoint));
    return;
  }
  if (endpoint == nullptr) return;
  GiveSlotBack(*endpoint);  // the client has left
  const std::shared_ptr<WorkerCluster> mine = FindCluster(cluster);
  if (mine != nullptr && shared->room.waiting() > 0) ServeQueue(*mine);
}

void Worker::StartChecks() {
  if (checking_) return;
  checking_ = true;
  if (check_timer_ == nullptr) check_timer_ = std::make_unique<TaskTimer>([this] { Check(); });
  poller_.timers().Arm(*check_timer_, poller_.now() + SharedCluster::kCheckInterval);
}

void Worker::Check() {
  const Instant now = poller_.now();
  for (const auto& [name, cluster] : clusters_) {
    bool raised = false;
    for (const EndpointCounters* ejected : cluster->shared->Check(*cluster->cluster, now, raised)) {
      if (const auto index = cluster->IndexOf(*ejected))
        cluster->hosts[*index]->stats->ejections.Add();
    }
    AvoidStalled(*cluster, now);
    // Also for those whom nobody could call: an ejection may have ended.
    if (cluster->shared->room.waiting() > 0) ServeQueue(*cluster);
  }
  checking_ = false;
  if (active_exchanges_ > 0) StartChecks();
}

// An instance that takes requests and answers none - stopped, or caught in a loop - while others do
// answer is passed over until it says something.
void Worker::AvoidStalled(WorkerCluster& cluster, Instant now) {
  if (cluster.hosts.size() < 2 || now < cluster.next_stall_check) return;
  // After a pause without requests nothing is known of how long anybody has been silent.
  const bool anew = now - cluster.next_stall_check > kStallCheck;
  cluster.next_stall_check = now + kStallCheck;
  Instant last_answer{};
  for (const UpstreamHost* host : cluster.hosts) {
    if (host != nullptr) last_answer = std::max(last_answer, AnsweredAt(*host->counters));
  }
  const bool others_answer = now - last_answer <= kStall;
  for (UpstreamHost* host : cluster.hosts) {
    if (host == nullptr) continue;
    // Responses that have begun - events, downloads - may go on for hours and owe nothing.
    if (host->unanswered == 0 || anew || AnsweredAt(*host->counters) != host->last_answer_seen) {
      host->last_answer_seen = AnsweredAt(*host->counters);
      host->silent_since = now;
      continue;
    }
    if (!others_answer || now - host->silent_since < kStall) continue;
    host->suspicion.Hold(now + 2 * kStallCheck);
    cluster.suspicion_until = std::max(cluster.suspicion_until, host->suspicion.until());
  }
}

std::shared_ptr<WorkerCluster> Worker::FindCluster(const std::string& name) const {
  const auto found = clusters_.find(name);
  return found == clusters_.end() ? nullptr : found->second;
}

void Worker::Accept(UniqueFd fd, const ListenerState& listener, const SocketAddress& peer) {
  stats_.accepted.Add();
  stats_.active_connections.Add();
  sessions_.push_front(std::make_unique<H1Session>(*this, std::move(fd), listener, peer));
  H1Session& session = *sessions_.front();
  session.position = sessions_.begin();
  session.Start();
}

void Worker::Remove(H1Session& session) {
  stats_.active_connections.Subtract(1);
  std::unique_ptr<H1Session> owned = std::move(*session.position);
  sessions_.erase(session.position);
  poller_.Retire(std::move(owned));
}

std::unique_ptr<Exchange> Worker::TakeExchange() {
  ++active_exchanges_;
  if (free_exchanges_.empty()) return std::make_unique<Exchange>(*this);
  std::unique_ptr<Exchange> exchange = std::move(free_exchanges_.back());
  free_exchanges_.pop_back();
  return exchange;
}

void Worker::GiveBack(std::unique_ptr<Exchange> exchange) {
  --active_exchanges_;
  if (free_exchanges_.size() < kMaxFreeExchanges) free_exchanges_.push_back(std::move(exchange));
}

void Worker::OnBatchEnd() {
  if (drained_noted_) {
    drained_noted_ = false;
    if (drained_) drained_();
  }
  if (on_idle_ && sessions_.empty()) std::exchange(on_idle_, nullptr)();
}

}  // namespace pando::proxy
