// How one app converges: publish what can be served, decide, advance drains, until nothing changes.
#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "controller/core/cluster_core.h"
#include "controller/core/upstream_table.h"

namespace pando::controller {
namespace {

constexpr size_t kRevisionsKept = 10;

bool SameAddress(const Endpoint& a, const Endpoint& b) {
  return a.address == b.address && a.port == b.port;
}

// Notes what the table of `generation` says of an assignment (nullptr: nothing).
void NoteShown(AssignmentEntry& item, const Endpoint* now_shown, uint64_t generation) {
  const bool was_pickable = item.shown && IsPickable(*item.shown);
  const bool is_pickable = now_shown != nullptr && IsPickable(*now_shown);
  if (was_pickable && !is_pickable) item.unpickable_since = generation;
  if (is_pickable && now_shown->health == Health::kHealthy) {
    const bool as_before = item.shown && item.shown->health == Health::kHealthy &&
                           SameAddress(*item.shown, *now_shown);
    if (!as_before) item.healthy_since = generation;
  }
  item.shown = now_shown == nullptr ? std::nullopt : std::make_optional(*now_shown);
}

}  // namespace

void Cluster::Core::Converge(AppEntry& entry, Instant now) {
  changed_.insert(entry.app.id);
  if (IsHeld(entry)) return;
  for (bool again = true; again;) {
    again = Publish(entry);
    again |= CarryOut(entry, now);
    again |= AdvanceDrains(entry, now);
  }
  Tell(entry);
  CollectRevisions(entry);
  if (entry.app.removing && entry.assignments.empty()) {
    const AppId id = entry.app.id;
    ForgetApp(id);
  }
}

bool Cluster::Core::IsHeld(const AppEntry& entry) const {
  if (recovery_window_over_ && !frozen_) return false;
  return std::any_of(entry.assignments.begin(), entry.assignments.end(), [&](const auto& pair) {
    const NodeEntry& node = NodeOf(pair.second);
    return !node.heard && node.state != NodeState::kLost;
  });
}

bool Cluster::Core::HidesUnheard(const AppEntry& entry,
                                 const std::vector<Endpoint>& endpoints) const {
  if (entry.published || std::any_of(endpoints.begin(), endpoints.end(), IsPickable)) return false;
  return std::any_of(entry.assignments.begin(), entry.assignments.end(), [&](const auto& pair) {
    const Assignment& a = pair.second.assignment;
    return a.wish == Wish::kRun && a.was_ready && !NodeOf(pair.second).heard;
  });
}

bool Cluster::Core::Publish(AppEntry& entry) {
  std::vector<EndpointCandidate> candidates;
  candidates.reserve(entry.assignments.size());
  for (const auto& [id, item] : entry.assignments) {
    if (!item.report) continue;
    const Assignment& a = item.assignment;
    const NodeEntry& node = NodeOf(item);
    candidates.push_back({.endpoint = {.assignment = id,
                                       .instance = InstanceName(a.app, a.slot),
                                       .node = a.node,
                                       .revision = a.revision,
                                       .address = node.hello.address,
                                       .port = item.report->port},
                          .wish = a.wish,
                          .phase = item.report->phase,
                          .was_ready = a.was_ready,
                          .node_suspect = ShownSuspect(node)});
  }
  std::vector<Endpoint> endpoints = BuildEndpoints(std::move(candidates));
  if (entry.published && endpoints == entry.table.endpoints) return false;
  if (HidesUnheard(entry, endpoints)) return false;

  entry.published = true;
  entry.table.generation = ++last_generation_;
  entry.table.endpoints = std::move(endpoints);
  new_tables_.insert(entry.app.id);
  std::map<AssignmentId, const Endpoint*> shown;
  for (const Endpoint& endpoint : entry.table.endpoints) shown[endpoint.assignment] = &endpoint;
  for (auto& [id, item] : entry.assignments) {
    const auto found = shown.find(id);
    NoteShown(item, found == shown.end() ? nullptr : found->second, entry.table.generation);
  }
  return true;
}

bool Cluster::Core::CarryOut(AppEntry& entry, Instant now) {
  const uint64_t acked = AckedByAll(entry.app.id);
  std::vector<AssignmentView> views;
  views.reserve(entry.assignments.size());
  for (const auto& [id, item] : entry.assignments) {
    views.push_back({.id = id,
                     .slot = item.assignment.slot,
                     .revision = item.assignment.revision,
                     .wish = item.assignment.wish,
                     .serving = IsServing(item),
                     .available = IsAvailable(item, acked),
                     .lost = NodeOf(item).state == NodeState::kLost});
  }
  const uint32_t replicas = WantedReplicas(entry.app);
  const Changes changes = Reconcile({.replicas = replicas,
                                     .revision = entry.app.revision,
                                     .surge = SurgeLimit(replicas, policy_.surge_percent)},
                                    views);

  for (const AssignmentId& id : changes.discard) {
    AddInstanceEvent("instance-gone", entry.assignments.at(id), "its node is lost");
    RemoveAssignment(entry, id);
  }
  for (const AssignmentId& id : changes.retire) {
    AssignmentEntry& item = entry.assignments.at(id);
    SetWish(item, Wish::kDrain);
    item.drain_deadline = now + ConfigOf(entry, item.assignment.revision).drain_timeout;
    deadlines_.Set({DeadlineKey::kDrain, id.value}, *item.drain_deadline);
  }
  bool placed = false;
  entry.pending_reason.clear();
  if (!changes.place.empty()) {
    std::vector<PlacementNode> nodes = PlacementNodes(entry);
    for (const Placing& placing : changes.place) {
      // What does not fit now does not fit for the next slot either.
      if (!Place(entry, placing, nodes)) break;
      placed = true;
    }
  }
  if (entry.pending_reason.empty()) {
    pending_.erase(entry.app.id);
  } else {
    pending_.insert(entry.app.id);
  }
  return placed || !changes.discard.empty() || !changes.retire.empty();
}

std::vector<PlacementNode> Cluster::Core::PlacementNodes(const AppEntry& entry) const {
  std::map<NodeId, uint32_t> same_app;
  for (const auto& [id, item] : entry.assignments) {
    const Assignment& a = item.assignment;
    if (a.wish == Wish::kRun && a.revision == entry.app.revision) ++same_app[a.node];
  }
  const auto closed = [](const NodeEntry& node) -> std::string {
    if (node.state == NodeState::kLost) return "is lost";
    if (!node.heard) return "has not reported yet";
    if (node.state != NodeState::kReady) return "is silent";
    if (!node.connected) return "is not connected";
    if (node.record.cordoned) return "is cordoned";
    return "";
  };
  std::vector<PlacementNode> nodes;
  nodes.reserve(nodes_.size());
  for (const auto& [id, node] : nodes_) {
    const auto count = same_app.find(id);
    nodes.push_back({.id = id,
                     .closed = closed(node),
                     .labels = &node.hello.labels,
                     .cpu_millis = node.hello.cpu_millis,
                     .memory_bytes = node.hello.memory_bytes,
                     .max_instances = node.hello.max_instances,
                     .used = node.used,
                     .same_app = count == same_app.end() ? 0 : count->second});
  }
  return nodes;
}

bool Cluster::Core::Place(AppEntry& entry, const Placing& placing,
                          std::vector<PlacementNode>& nodes) {
  const RevisionConfig& config = ConfigOf(entry, entry.app.revision);
  const auto chosen = ChooseNode(config, nodes);
  if (!chosen) {
    entry.pending_reason = WhyNothingFits(config, nodes);
    return false;
  }
  for (const AssignmentId& id : placing.replaces) {
    AddInstanceEvent("instance-gone", entry.assignments.at(id), "its node is lost");
    RemoveAssignment(entry, id);
  }
  const NodeId node = nodes[*chosen].id;
  const AssignmentId id = NewAssignmentId(entry.app.id, placing.slot);
  const AssignmentEntry& item = AddAssignment(entry, {.id = id,
                                                      .app = entry.app.id,
                                                      .slot = placing.slot,
                                                      .revision = entry.app.revision,
                                                      .node = node});
  nodes[*chosen].used = nodes_.at(node).used;
  nodes[*chosen].same_app += 1;
  touched_assignments_.insert(id);
  new_orders_.insert(node);
  AddInstanceEvent("placed", item, absl::StrCat("revision ", entry.app.revision));
  return true;
}

bool Cluster::Core::AdvanceDrains(AppEntry& entry, Instant now) {
  std::vector<AssignmentId> draining;
  for (const auto& [id, item] : entry.assignments) {
    if (item.assignment.wish == Wish::kDrain) draining.push_back(id);
  }
  bool advanced = false;
  for (const AssignmentId& id : draining) {
    AssignmentEntry& item = entry.assignments.at(id);
    const DrainVerdict verdict =
        JudgeDrain(ToDrainInput(entry, item), DrainProxies(entry, item), now);
    if (verdict.result == DrainResult::kWait) continue;
    advanced = true;
    if (verdict.result == DrainResult::kTimedOut) {
      const std::string holders = absl::StrJoin(
          verdict.holders, ", ", [](std::string* out, const ProxyId& p) { out->append(p.value); });
      AddInstanceEvent("drain-timeout", item, absl::StrCat("still held by ", holders));
    } else if (item.draining_told) {
      AddInstanceEvent("drained", item, "");
    }
    // An agent that never said anything of it may not even know it, and so would never say that it
    // is gone. Should it just be starting it: it is not in the orders any more.
    if (NodeOf(item).heard && !item.report) {
      RemoveAssignment(entry, id);
    } else {
      SetWish(item, Wish::kStop);
    }
  }
  return advanced;
}

DrainInput Cluster::Core::ToDrainInput(const AppEntry& entry, const AssignmentEntry& item) const {
  DrainInput input;
  const bool unknown = !item.report && !NodeOf(item).heard;
  const bool has_process = item.report && HasProcess(item.report->phase);
  const bool never_shown = !item.shown && item.unpickable_since == 0;
  input.unused = (!has_process && !unknown) || never_shown;
  if (entry.published && (!item.shown || !IsPickable(*item.shown))) {
    input.unpickable_since = item.unpickable_since;
  }
  input.deadline = item.drain_deadline.value_or(started_);
  return input;
}

std::vector<DrainProxy> Cluster::Core::DrainProxies(const AppEntry& entry,
                                                    const AssignmentEntry& item) const {
  std::vector<DrainProxy> live;
  for (const auto& [id, proxy] : proxies_) {
    const auto acked = proxy.acked.find(entry.app.id);
    const auto said = item.in_flight.find(id);
    live.push_back({.id = id,
                    .acked = acked == proxy.acked.end() ? 0 : acked->second,
                    .reports_drains = proxy.capabilities.reports_drains,
                    .reported_empty = said != item.in_flight.end() && said->second.draining &&
                                      said->second.requests == 0 &&
                                      said->second.session == proxy.session});
  }
  return live;
}

uint64_t Cluster::Core::AckedByAll(const AppId& id) const {
  uint64_t least = std::numeric_limits<uint64_t>::max();
  for (const auto& [proxy_id, proxy] : proxies_) {
    const auto acked = proxy.acked.find(id);
    least = std::min(least, acked == proxy.acked.end() ? 0 : acked->second);
  }
  return least;
}

bool Cluster::Core::IsAvailable(const AssignmentEntry& item, uint64_t acked_by_all) const {
  return item.assignment.wish == Wish::kRun && item.report && item.report->phase == Phase::kReady &&
         !ShownSuspect(NodeOf(item)) && item.shown && item.shown->health == Health::kHealthy &&
         item.healthy_since <= acked_by_all;
}

bool Cluster::Core::IsServing(const AssignmentEntry& item) const {
  if (item.shown) return IsPickable(*item.shown);
  return !item.report && item.assignment.was_ready && !NodeOf(item).heard;
}

void Cluster::Core::Tell(AppEntry& entry) {
  const uint64_t acked = AckedByAll(entry.app.id);
  for (auto& [id, item] : entry.assignments) {
    if (!item.in_rotation_told && IsAvailable(item, acked)) {
      item.in_rotation_told = true;
      AddInstanceEvent("in-rotation", item,
                       absl::StrCat("acknowledged by ", proxies_.size(), " proxies"));
    }
    if (!item.draining_told && item.assignment.wish == Wish::kDrain) {
      item.draining_told = true;
      AddInstanceEvent("draining", item, "");
    }
  }
  if (entry.pending_reason == entry.pending_reason_told) return;
  entry.pending_reason_told = entry.pending_reason;
  if (!entry.pending_reason.empty()) {
    AddEvent("pending", entry.app.id, "", {}, entry.pending_reason);
  }
}

void Cluster::Core::CollectRevisions(AppEntry& entry) {
  if (entry.revisions.size() <= kRevisionsKept) return;
  std::set<uint32_t> used{entry.app.revision};
  for (const auto& [id, item] : entry.assignments) used.insert(item.assignment.revision);
  size_t surplus = entry.revisions.size() - kRevisionsKept;
  for (auto it = entry.revisions.begin(); it != entry.revisions.end() && surplus > 0; --surplus) {
    if (used.count(it->first) > 0) {
      ++it;
      continue;
    }
    out_.writes.push_back(DeleteRevision{entry.app.id, it->first});
    it = entry.revisions.erase(it);
  }
}

}  // namespace pando::controller
