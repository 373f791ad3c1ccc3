// Drives one Cluster in tests: keeps what its effects said, and answers as agents and proxies
// would.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controller/core/cluster.h"
#include "controller/core/durable_model.h"

namespace pando::controller {

inline const AppId kWeb{"web"};

class ClusterHarness {
 public:
  explicit ClusterHarness(ClusterPolicy policy = {}) : policy_(policy) { Restart(); }

  // Calls `call` with fresh effects, then takes them in.
  template <class Call>
  auto Do(Call call) {
    Effects effects;
    if constexpr (std::is_void_v<decltype(call(effects))>) {
      call(effects);
      Take(effects);
    } else {
      auto result = call(effects);
      Take(effects);
      return result;
    }
  }

  // A new controller from what was written.
  void Restart() {
    cluster = std::make_unique<Cluster>(
        policy_, model.Load(), [this] { return (uint64_t{rng_()} << 32) | rng_(); }, now);
    tables.clear();
    orders.clear();
    connected_nodes.clear();
    connected_proxies_.clear();
    Do([&](Effects& e) { cluster->Start(now, e); });
  }

  // ---- operators ----
  static RevisionConfig Config(const std::string& payload) {
    RevisionConfig config;
    config.payload = payload;
    return config;
  }
  absl::StatusOr<std::vector<ApplyOutcome>> Apply(const std::string& payload,
                                                  std::optional<uint32_t> replicas,
                                                  const AppId& app = kWeb) {
    return Apply({AppRequest{app, Config(payload), replicas}});
  }
  absl::StatusOr<std::vector<ApplyOutcome>> Apply(std::vector<AppRequest> requests) {
    return Do([&](Effects& e) { return cluster->Apply(requests, {}, {}, now, e); });
  }
  absl::StatusOr<ChangeOutcome> Scale(uint32_t replicas) {
    return Do([&](Effects& e) { return cluster->Scale(kWeb, replicas, now, e); });
  }

  // ---- agents ----
  static NodeHello HelloOf(const std::string& name) {
    NodeHello hello;
    hello.node = NodeId{name};
    hello.agent_id = name + "-agent";
    hello.address = "10.0.0." + name.substr(name.size() - 1);
    return hello;
  }
  absl::Status Connect(const std::string& name) { return Connect(HelloOf(name)); }
  absl::Status Connect(const NodeHello& hello) {
    auto status = Do([&](Effects& e) { return cluster->NodeConnected(hello, now, e); });
    if (status.ok()) connected_nodes.insert(hello.node);
    return status;
  }
  // A hello that reports all of the model's assignments of the node as ready.
  NodeHello HelloWithAll(const std::string& name) {
    NodeHello hello = HelloOf(name);
    for (const auto& [id, a] : model.assignments()) {
      if (a.node == hello.node) hello.instances.push_back(Report(id, Phase::kReady));
    }
    return hello;
  }
  InstanceReport Report(const AssignmentId& id, Phase phase) {
    InstanceReport report;
    report.assignment = id;
    report.phase = phase;
    report.incarnation = 1;
    const auto [port, added] =
        ports_.try_emplace(id, static_cast<uint16_t>(20'000 + ports_.size()));
    report.port = phase == Phase::kBackoff || phase == Phase::kFailed ? 0 : port->second;
    return report;
  }
  void Say(const InstanceReport& report) {
    const NodeId node = model.assignments().at(report.assignment).node;
    Do([&](Effects& e) { cluster->InstanceChanged(node, report, now, e); });
  }
  void Say(const AssignmentId& id, Phase phase) { Say(Report(id, phase)); }
  void Gone(const AssignmentId& id) {
    const NodeId node = model.assignments().at(id).node;
    Do([&](Effects& e) { cluster->InstanceGone(node, id, now, e); });
  }
  // Every ordered instance becomes ready, every stopped one goes, proxies acknowledge: one round.
  void Round() {
    for (const auto& [id, a] : std::map(model.assignments())) {
      if (connected_nodes.count(a.node) == 0) continue;
      if (a.wish == Wish::kStop) {
        Gone(id);
      } else if (State(id) == "assigned" || State(id) == "starting") {
        Say(id, Phase::kReady);
      }
    }
    AckAll();
    ReportAll();
    DrainAll();
  }
  void Settle(int rounds = 50) {
    for (int i = 0; i < rounds; ++i) Round();
  }

  // ---- proxies ----
  void ConnectProxy(const std::string& name, bool reports_drains = true) {
    Do([&](Effects& e) {
      cluster->ProxyConnected(ProxyId{name}, {"test", reports_drains}, now, e);
    });
    connected_proxies_.insert(ProxyId{name});
  }
  void DisconnectProxy(const std::string& name) {
    Do([&](Effects& e) { cluster->ProxyDisconnected(ProxyId{name}, now, e); });
    connected_proxies_.erase(ProxyId{name});
  }
  void Ack(const std::string& name, const AppId& app = kWeb) {
    const UpstreamTable* table = cluster->Table(app);
    if (table == nullptr) return;
    const uint64_t generation = table->generation;
    Do([&](Effects& e) { cluster->ProxyAcked(ProxyId{name}, app, generation, now, e); });
  }
  void AckAll() {
    for (const ProxyId& proxy : connected_proxies_) {
      for (const AppId& app : cluster->apps()) Ack(proxy.value, app);
    }
  }
  // As the proxies' reports every second: of what runs, whatever is in flight.
  void ReportAll() {
    for (const auto& [id, a] : std::map(model.assignments())) {
      if (a.wish != Wish::kRun) continue;
      for (const ProxyId& proxy : connected_proxies_) InFlight(proxy.value, id, 0, false);
    }
  }
  void InFlight(const std::string& proxy, const AssignmentId& id, uint64_t count, bool draining) {
    EndpointReport report;
    report.in_flight = count;
    report.draining = draining;
    Report(proxy, id, report);
  }
  void Report(const std::string& proxy, const AssignmentId& id, const EndpointReport& report) {
    Do([&](Effects& e) { cluster->ProxyReported(ProxyId{proxy}, id, report, now, e); });
  }
  // One report of a proxy.
  void Saw(const std::vector<std::pair<AssignmentId, Load>>& loads) {
    Do([&](Effects& e) { cluster->ProxyLoads(loads, now, e); });
  }
  // A proxy's connection to the instance fails now, or it answers now.
  void Unreachable(const std::string& proxy, const AssignmentId& id) {
    EndpointReport report;
    report.reach.unreachable_at = now;
    Report(proxy, id, report);
  }
  void Answered(const std::string& proxy, const AssignmentId& id) {
    EndpointReport report;
    report.reach.answered_at = now;
    Report(proxy, id, report);
  }
  void DrainAll() {
    for (const auto& [id, a] : std::map(model.assignments())) {
      if (a.wish != Wish::kDrain) continue;
      for (const ProxyId& proxy : connected_proxies_) InFlight(proxy.value, id, 0, true);
    }
  }

  // ---- time ----
  // Ticks every 100 ms; connected nodes but `silent` ones send heartbeats.
  void Pass(Millis by, const std::set<std::string>& silent = {}) {
    for (const Instant end = now + by; now < end;) {
      now += std::min<Instant::duration>(Millis{100}, end - now);
      for (const NodeId& node : connected_nodes) {
        if (silent.count(node.value) > 0) continue;
        Do([&](Effects& e) { cluster->NodeHeartbeat(node, now, e); });
      }
      Do([&](Effects& e) { cluster->Tick(now, e); });
    }
  }

  // ---- what there is ----
  AppStatus Status(const AppId& app = kWeb) const { return *cluster->GetApp(app); }
  std::string State(const AssignmentId& id) const {
    for (const InstanceStatus& status : cluster->GetInstances({})) {
      if (status.assignment.id == id) return status.state;
    }
    return "none";
  }
  std::vector<Assignment> Of(uint32_t slot, const AppId& app = kWeb) const {
    std::vector<Assignment> found;
    for (const auto& [id, a] : model.assignments()) {
      if (a.app == app && a.slot == slot) found.push_back(a);
    }
    std::sort(found.begin(), found.end(),
              [](const auto& a, const auto& b) { return a.revision < b.revision; });
    return found;
  }
  // "web.1:healthy web.2:draining" as last published.
  std::string Shown(const AppId& app = kWeb) const {
    const auto found = tables.find(app);
    if (found == tables.end()) return "none";
    std::string text;
    for (const Endpoint& e : found->second.endpoints) {
      if (!text.empty()) text += " ";
      text += e.instance + (e.health == Health::kHealthy    ? ":healthy"
                            : e.health == Health::kDraining ? ":draining"
                                                            : ":suspect");
    }
    return text;
  }
  bool Ordered(const AssignmentId& id) const {
    for (const auto& [node, list] : orders) {
      for (const Assignment& a : list.assignments) {
        if (a.id == id) return true;
      }
    }
    return false;
  }
  size_t Count(const std::string& kind) const {
    return std::count_if(events.begin(), events.end(),
                         [&](const TimelineEvent& e) { return e.kind == kind; });
  }
  std::map<std::string, int> PerNode() const {
    std::map<std::string, int> counts;
    for (const auto& [id, a] : model.assignments()) ++counts[a.node.value];
    return counts;
  }

 private:
  void Take(const Effects& effects) {
    model.Apply(effects.writes);
    for (const NodeOrders& o : effects.orders) orders[o.node] = o;
    for (const UpstreamTable& t : effects.tables) tables[t.app] = t;
    for (const AppId& app : effects.removed_tables) tables.erase(app);
    if (effects.routing) routing = *effects.routing;
    events.insert(events.end(), effects.events.begin(), effects.events.end());
    last = effects;
  }

  const ClusterPolicy policy_;
  std::mt19937 rng_{7};
  std::map<AssignmentId, uint16_t> ports_;
  std::set<ProxyId> connected_proxies_;

 public:
  std::set<NodeId> connected_nodes;
  Instant now{std::chrono::hours{1}};
  DurableModel model;
  std::unique_ptr<Cluster> cluster;
  std::map<AppId, UpstreamTable> tables;
  std::map<NodeId, NodeOrders> orders;
  RoutingConfig routing;
  std::vector<TimelineEvent> events;
  Effects last;
};

}  // namespace pando::controller
