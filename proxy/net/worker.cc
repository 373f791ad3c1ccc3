#include "proxy/net/worker.h"

#include <algorithm>
#include <utility>

#include "absl/strings/string_view.h"

namespace pando::proxy {
namespace {

constexpr size_t kMaxFreeExchanges = 1'024;

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

Worker::Worker(const DataPlaneConfig& config, uint64_t seed, const std::function<void()>& drained)
    : config_(config),
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
    auto next = std::make_shared<WorkerCluster>(cluster, random_.Next(), stats_.ForCluster(name));
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

  std::map<ListenAddress, const Listener*> listeners;
  for (const Listener& listener : table_->table->listeners) {
    const ListenAddress address{listener.address, listener.port};
    listeners[address] = &listener;
    std::unique_ptr<ListenerState>& state = listener_states_[address];
    if (state == nullptr) state = std::make_unique<ListenerState>();
    state->route_table = listener.route_table;
  }
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

void Worker::NameHost(UpstreamHost& host, const std::string& cluster, const Endpoint& endpoint) {
  if (host.stats != nullptr && host.instance == endpoint.instance) return;
  host.instance = endpoint.instance;
  host.stats = stats_.ForInstance(cluster, InstanceName(endpoint));
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
