#include "controller/core/cluster_core.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace pando::controller {

// ---- building the state ----

Cluster::Core::Core(ClusterPolicy policy, DurableState state, Random random, Instant now)
    : policy_(policy),
      lease_policy_{policy.suspect_after, policy.lost_after},
      random_(std::move(random)),
      started_(now),
      last_tick_(now) {
  for (NodeRecord& record : state.nodes) {
    NodeEntry& node = nodes_[record.id];
    node.last_heard = now;
    node.hello.node = record.id;
    node.record = std::move(record);
    ++unheard_nodes_;
    Unindex(node);
    ArmNodeDrain(node, now);
  }
  for (App& app : state.apps) {
    AppEntry& entry = apps_[app.id];
    entry.table.app = app.id;
    entry.loads = app.rollout.loads;
    entry.app = std::move(app);
  }
  for (Revision& revision : state.revisions) {
    if (AppEntry* entry = FindApp(revision.app)) {
      const uint32_t number = revision.number;
      entry->revisions[number] = std::move(revision);
    }
  }
  for (const Assignment& assignment : state.assignments) {
    stored_.insert(assignment.id);
    AppEntry* entry = FindApp(assignment.app);
    // What refers to nothing can not be run; the store should not hold it, and soon will not.
    if (entry == nullptr || entry->revisions.count(assignment.revision) == 0) {
      touched_assignments_.insert(assignment.id);
      continue;
    }
    AssignmentEntry& item = AddAssignment(*entry, assignment);
    // Proxies may still run a table of the controller before with it: they have to acknowledge the
    // first one of this.
    if (assignment.was_ready) item.unpickable_since = 1;
    item.in_rotation_told = assignment.was_ready;
    item.draining_told = assignment.wish == Wish::kDrain;
    if (assignment.wish == Wish::kDrain) {
      ArmDrain(*entry, item, now);
    }
  }
  for (const ProxyId& proxy : state.proxies) {
    proxies_[proxy].capabilities.reports_drains = true;
    deadlines_.Set({DeadlineKey::kProxy, proxy.value}, now + policy_.proxy_lease);
  }
  for (Gateway& gateway : state.gateways) {
    std::string name = gateway.name;
    gateways_[std::move(name)] = std::move(gateway);
  }
  deadlines_.Set({DeadlineKey::kRecovery, ""}, now + policy_.recovery_window);
}

void Cluster::Core::Start() {
  MarkRoutingChanged();
  MarkAllDirty();
}

void Cluster::Core::Tick(Instant now) {
  // They come every 100 ms: after a longer pause this controller, or its host, slept.
  if (now - std::exchange(last_tick_, now) > Millis{1'000}) woke_at_ = now;
  std::vector<NodeId> due_nodes;
  while (const auto key = deadlines_.TakeDue(now)) {
    switch (key->kind) {
      case DeadlineKey::kRecovery:
        EndRecovery(now);
        break;
      case DeadlineKey::kNode:
        due_nodes.push_back(NodeId{key->id});
        break;
      case DeadlineKey::kProxy:
        ForgetProxy(ProxyId{key->id});
        break;
      case DeadlineKey::kRebalance:
        RebalanceAll(now);
        break;
      case DeadlineKey::kMoves:
        PumpRebalance(now);
        break;
      case DeadlineKey::kLossWindow:
        ForgetLoss(nodes_.at(NodeId{key->id}));
        UpdateFreeze(now, /*give_grace=*/true);
        break;
      case DeadlineKey::kNodeDrain:
        NodeDrainExpired(NodeId{key->id});
        break;
      case DeadlineKey::kRollout:
        dirty_.insert(AppId{key->id});
        break;
      case DeadlineKey::kDrain:
        if (auto [entry, item] = FindAssignment(AssignmentId{key->id}); entry != nullptr) {
          dirty_.insert(entry->app.id);
        }
        break;
    }
  }
  if (!due_nodes.empty()) JudgeNodes(due_nodes, now);
}

void Cluster::Core::Finish(Instant now, Effects& effects) {
  while (!dirty_.empty() || room_made_) {
    // Room that one app left may be what another waits for.
    if (std::exchange(room_made_, false)) dirty_.insert(pending_.begin(), pending_.end());
    const std::set<AppId> batch = std::exchange(dirty_, {});
    for (const AppId& id : batch) {
      if (AppEntry* entry = FindApp(id)) Converge(*entry, now);
    }
  }
  FlushWrites(effects);

  // What this call says replaces what an earlier call with the same effects said of it.
  const auto put = [](auto& list, size_t earlier, auto value, auto same) {
    const auto end = list.begin() + static_cast<std::ptrdiff_t>(earlier);
    const auto found =
        std::find_if(list.begin(), end, [&](const auto& other) { return same(other, value); });
    if (found == end) {
      list.push_back(std::move(value));
    } else {
      *found = std::move(value);
    }
  };
  const size_t orders = effects.orders.size();
  const size_t tables = effects.tables.size();
  const size_t changed_apps = effects.changed_apps.size();
  for (const NodeId& id : std::exchange(new_orders_, {})) {
    const auto node = nodes_.find(id);
    if (node == nodes_.end() || !node->second.connected) continue;  // gets them with its hello
    put(effects.orders, orders, OrdersFor(id),
        [](const auto& a, const auto& b) { return a.node == b.node; });
  }
  for (const AppId& id : std::exchange(new_tables_, {})) {
    const AppEntry* entry = FindApp(id);
    if (entry == nullptr) continue;
    put(effects.tables, tables, entry->table,
        [](const auto& a, const auto& b) { return a.app == b.app; });
  }
  if (std::exchange(routing_changed_, false)) effects.routing = BuildRouting();
  for (AppId& id : out_.removed_tables) effects.removed_tables.push_back(std::move(id));
  for (TimelineEvent& event : out_.events) effects.events.push_back(std::move(event));
  for (const AppId& id : std::exchange(changed_, {})) {
    put(effects.changed_apps, changed_apps, id,
        [](const auto& a, const auto& b) { return a == b; });
  }
  out_ = {};
  effects.wake_at = deadlines_.Next();
}

void Cluster::Core::FlushWrites(Effects& effects) {
  for (Write& write : out_.writes) effects.writes.push_back(std::move(write));
  for (const AppId& id : std::exchange(touched_apps_, {})) {
    if (const AppEntry* entry = FindApp(id)) effects.writes.push_back(PutApp{entry->app});
  }
  for (const AssignmentId& id : std::exchange(touched_assignments_, {})) {
    const auto [entry, item] = FindAssignment(id);
    if (item != nullptr) {
      stored_.insert(id);
      effects.writes.push_back(PutAssignment{item->assignment});
    } else if (stored_.erase(id) > 0) {
      effects.writes.push_back(DeleteAssignment{id});
    }
  }
}

// ---- bookkeeping ----

AssignmentEntry& Cluster::Core::AddAssignment(AppEntry& entry, const Assignment& assignment) {
  AssignmentEntry& item = entry.assignments[assignment.id];
  item.assignment = assignment;
  app_of_[assignment.id] = entry.app.id;
  const auto [found, added] = nodes_.try_emplace(assignment.node);
  NodeEntry& node = found->second;
  if (added) {
    ++unheard_nodes_;
    node.record.id = assignment.node;
    node.last_heard = started_;
  }
  node.assignments.insert(assignment.id);
  const RevisionConfig& config = ConfigOf(entry, assignment.revision);
  node.used.instances += 1;
  node.used.cpu_millis += config.cpu_millis;
  node.used.memory_bytes += config.memory_bytes;
  Unindex(node);
  return item;
}

void Cluster::Core::RemoveAssignment(AppEntry& entry, const AssignmentId& id) {
  const AssignmentEntry& item = entry.assignments.at(id);
  const RevisionConfig& config = ConfigOf(entry, item.assignment.revision);
  NodeEntry& node = NodeOf(item);
  node.assignments.erase(id);
  node.used.instances -= 1;
  node.used.cpu_millis -= config.cpu_millis;
  node.used.memory_bytes -= config.memory_bytes;
  if (item.shown) node.shown -= 1;
  Unindex(node);
  new_orders_.insert(node.record.id);
  for (const auto& [proxy, in_flight] : item.in_flight) {
    if (const auto found = proxies_.find(proxy); found != proxies_.end()) {
      found->second.in_flight -= std::min(found->second.in_flight, in_flight.requests);
    }
  }
  deadlines_.Clear({DeadlineKey::kDrain, id.value});
  app_of_.erase(id);
  touched_assignments_.insert(id);
  room_made_ = true;
  entry.assignments.erase(id);
  TellNodeDrained(node);
}

void Cluster::Core::ForgetApp(const AppId& id) {
  const auto found = apps_.find(id);
  for (const auto& [number, revision] : found->second.revisions) {
    out_.writes.push_back(DeleteRevision{id, number});
  }
  out_.writes.push_back(DeleteApp{id});
  out_.removed_tables.push_back(id);
  for (auto& [proxy, state] : proxies_) state.acked.erase(id);
  deadlines_.Clear({DeadlineKey::kRollout, id.value});
  apps_.erase(found);
  pending_.erase(id);
  touched_apps_.erase(id);
  new_tables_.erase(id);
  changed_.insert(id);
}

void Cluster::Core::SetWish(AssignmentEntry& item, Wish wish) {
  item.assignment.wish = wish;
  touched_assignments_.insert(item.assignment.id);
  if (wish != Wish::kStop) return;
  deadlines_.Clear({DeadlineKey::kDrain, item.assignment.id.value});
  new_orders_.insert(item.assignment.node);
}

AssignmentId Cluster::Core::NewAssignmentId(const AppId& app, uint32_t slot) {
  constexpr char kDigits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
  for (;;) {
    uint64_t number = random_();
    std::string suffix;
    for (int i = 0; i < 8; ++i, number /= 36) suffix.push_back(kDigits[number % 36]);
    AssignmentId id{absl::StrCat(InstanceName(app, slot), "-", suffix)};
    if (!app_of_.contains(id)) return id;
  }
}

AppEntry* Cluster::Core::FindApp(const AppId& id) {
  const auto found = apps_.find(id);
  return found == apps_.end() ? nullptr : &found->second;
}

const AppEntry* Cluster::Core::FindApp(const AppId& id) const {
  const auto found = apps_.find(id);
  return found == apps_.end() ? nullptr : &found->second;
}

std::pair<AppEntry*, AssignmentEntry*> Cluster::Core::FindAssignment(const AssignmentId& id) {
  const auto app = app_of_.find(id);
  if (app == app_of_.end()) return {nullptr, nullptr};
  AppEntry* entry = FindApp(app->second);
  return {entry, &entry->assignments.at(id)};
}

NodeEntry& Cluster::Core::NodeOf(const AssignmentEntry& item) {
  return nodes_.at(item.assignment.node);
}

const NodeEntry& Cluster::Core::NodeOf(const AssignmentEntry& item) const {
  return nodes_.at(item.assignment.node);
}

const RevisionConfig& Cluster::Core::ConfigOf(const AppEntry& entry, uint32_t revision) const {
  static const RevisionConfig none;
  const auto found = entry.revisions.find(revision);
  return found == entry.revisions.end() ? none : found->second.config;
}

void Cluster::Core::MarkAllDirty() {
  for (const auto& [id, entry] : apps_) {
    dirty_.insert(id);
    changed_.insert(id);
  }
}

void Cluster::Core::MarkRolloutsDirty() {
  for (const auto& [id, entry] : apps_) {
    if (!entry.app.rollout.done) dirty_.insert(id);
  }
}

RoutingConfig Cluster::Core::BuildRouting() const {
  RoutingConfig routing;
  for (const auto& [id, entry] : apps_) {
    if (entry.app.removing) continue;
    routing.routes.push_back(RouteOf(entry));
  }
  routing.gateways = GetGateways();
  return routing;
}

void Cluster::Core::AddEvent(std::string kind, const AppId& app, std::string instance,
                             const NodeId& node, std::string message) {
  out_.events.push_back({std::move(kind), app, std::move(instance), node, std::move(message)});
}

void Cluster::Core::AddInstanceEvent(std::string kind, const AssignmentEntry& item,
                                     std::string message) {
  const Assignment& a = item.assignment;
  AddEvent(std::move(kind), a.app, InstanceName(a.app, a.slot), a.node, std::move(message));
}

}  // namespace pando::controller
