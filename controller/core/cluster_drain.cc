// Nodes that are to take nothing more, or to be emptied.
#include "absl/strings/str_cat.h"
#include "controller/core/cluster_core.h"
#include "controller/core/no_such.h"

namespace pando::controller {

absl::Status Cluster::Core::SetCordoned(const NodeId& id, bool cordoned, Instant now) {
  const auto found = nodes_.find(id);
  if (found == nodes_.end()) return NoSuch("node", id.value, nodes_);
  NodeEntry& node = found->second;
  NodeRecord wanted = node.record;
  wanted.cordoned = cordoned;
  if (!cordoned) {
    wanted.draining = false;
    wanted.drain_deadline = Millis{0};
  }
  if (wanted == node.record) return absl::OkStatus();
  if (node.record.draining && !wanted.draining) {
    deadlines_.Clear({DeadlineKey::kNodeDrain, id.value});
    node.drain_expired = false;
    MarkNodeDirty(node);
  }
  node.record = wanted;
  Unindex(node);
  out_.writes.push_back(PutNode{node.record});
  AddEvent(cordoned ? "node-cordoned" : "node-uncordoned", {}, "", id, "");
  if (!cordoned) {
    room_made_ = true;
    RebalanceSoon(now);
  }
  return absl::OkStatus();
}

absl::StatusOr<DrainOutcome> Cluster::Core::DrainNode(const NodeId& id, Millis deadline,
                                                      Instant now) {
  const auto found = nodes_.find(id);
  if (found == nodes_.end()) return NoSuch("node", id.value, nodes_);
  NodeEntry& node = found->second;
  NodeRecord wanted = node.record;
  wanted.cordoned = true;
  wanted.draining = true;
  wanted.drain_deadline = deadline;
  const DrainOutcome outcome{id, static_cast<uint32_t>(node.assignments.size())};
  if (wanted == node.record && deadline == Millis{0}) return outcome;
  const bool begins = !node.record.draining;
  node.record = wanted;
  out_.writes.push_back(PutNode{node.record});
  ArmNodeDrain(node, now);
  Unindex(node);
  MarkNodeDirty(node);
  if (begins) {
    AddEvent("node-draining", {}, "", id, absl::StrCat(outcome.instances, " instances to move"));
    TellNodeDrained(node);
  }
  return outcome;
}

void Cluster::Core::ArmNodeDrain(NodeEntry& node, Instant now) {
  const DeadlineKey key{DeadlineKey::kNodeDrain, node.record.id.value};
  node.drain_expired = false;
  if (node.record.draining && node.record.drain_deadline > Millis{0}) {
    // From now: a controller that was down meanwhile does not know for how long.
    deadlines_.Set(key, now + node.record.drain_deadline);
  } else {
    deadlines_.Clear(key);
  }
}

void Cluster::Core::NodeDrainExpired(const NodeId& id) {
  NodeEntry& node = nodes_.at(id);
  node.drain_expired = true;
  MarkNodeDirty(node);
  if (!node.assignments.empty()) {
    AddEvent("node-drain-deadline", {}, "", id,
             absl::StrCat(node.assignments.size(), " instances go without a place elsewhere"));
  }
}

void Cluster::Core::TellNodeDrained(NodeEntry& node) {
  if (node.record.draining && node.assignments.empty()) {
    AddEvent("node-drained", {}, "", node.record.id, "nothing is left on it");
  }
}

}  // namespace pando::controller
