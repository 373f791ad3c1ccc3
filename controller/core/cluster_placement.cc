// Places: what placement is told of the nodes, and how an app's instances get theirs.
#include <utility>

#include "absl/strings/str_cat.h"
#include "controller/core/cluster_core.h"

namespace pando::controller {
namespace {

// Why it takes nothing now; empty when it does.
std::string WhyClosed(const NodeEntry& node) {
  if (node.state == NodeState::kLost) return "is lost";
  if (!node.heard) return "has not reported yet";
  if (node.state != NodeState::kReady) return "is silent";
  if (!node.connected) return "is not connected";
  if (node.record.draining) return "is draining";
  if (node.record.cordoned) return "is cordoned";
  return "";
}

}  // namespace

void Cluster::Core::Unindex(NodeEntry& node) {
  if (std::exchange(node.index_due, true)) return;
  unindexed_.push_back(node.record.id);
}

void Cluster::Core::UpdateIndex() {
  for (const NodeId& id : std::exchange(unindexed_, {})) {
    NodeEntry& node = nodes_.at(id);
    node.index_due = false;
    index_.Put({.id = id,
                .closed = WhyClosed(node),
                .labels = node.hello.labels,
                .cpu_millis = node.hello.cpu_millis,
                .memory_bytes = node.hello.memory_bytes,
                .max_instances = node.hello.max_instances,
                .used = node.used});
  }
}

bool Cluster::Core::IsLeaving(const AssignmentEntry& item) const {
  return item.moving || NodeOf(item).record.draining;
}

bool Cluster::Core::IsEvicted(const AssignmentEntry& item) const {
  const NodeEntry& node = NodeOf(item);
  return node.record.draining && node.drain_expired;
}

Placer Cluster::Core::PlacerFor(const AppEntry& entry, uint32_t revision) {
  UpdateIndex();
  Placer placer(index_, ConfigOf(entry, revision));
  for (const auto& [id, item] : entry.assignments) {
    const Assignment& a = item.assignment;
    if (a.wish != Wish::kRun || a.revision != revision) continue;
    if (IsLeaving(item) || NodeOf(item).state == NodeState::kLost) continue;
    placer.Count(a.node);
  }
  return placer;
}

bool Cluster::Core::PlaceAll(AppEntry& entry, const std::vector<Placing>& wanted) {
  bool placed = false;
  entry.pending_reason.clear();
  std::map<uint32_t, Placer> placers;  // by revision
  for (const Placing& placing : wanted) {
    auto placer = placers.find(placing.revision);
    if (placer == placers.end()) {
      placer = placers.emplace(placing.revision, PlacerFor(entry, placing.revision)).first;
    }
    const PlacementNode* const chosen = placer->second.Choose();
    if (chosen == nullptr) {
      // What does not fit now does not fit for the next slot either.
      entry.pending_reason = placer->second.WhyNothingFits();
      break;
    }
    const NodeId node = chosen->id;
    if (StaysAfterAll(entry, placing, node)) {
      placed = true;  // something changed: look again
      continue;
    }
    PlaceOn(entry, placing, node);
    index_.SetUsed(node, nodes_.at(node).used);
    placer->second.Count(node);
    placed = true;
  }
  if (entry.pending_reason.empty()) {
    pending_.erase(entry.app.id);
  } else {
    pending_.insert(entry.app.id);
  }
  return placed;
}

void Cluster::Core::PlaceOn(AppEntry& entry, const Placing& placing, const NodeId& node) {
  for (const AssignmentId& id : placing.replaces) {
    AddInstanceEvent("instance-gone", entry.assignments.at(id), "its node is lost");
    RemoveAssignment(entry, id);
  }
  const AssignmentId id = NewAssignmentId(entry.app.id, placing.slot);
  const AssignmentEntry& item = AddAssignment(entry, {.id = id,
                                                      .app = entry.app.id,
                                                      .slot = placing.slot,
                                                      .revision = placing.revision,
                                                      .node = node});
  touched_assignments_.insert(id);
  new_orders_.insert(node);
  AddInstanceEvent("placed", item, absl::StrCat("revision ", placing.revision));
}

}  // namespace pando::controller
