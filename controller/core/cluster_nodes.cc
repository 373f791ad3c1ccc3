// Agents' sessions, what they report, and what their silence means.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controller/core/cluster_core.h"

namespace pando::controller {
namespace {

bool HasExited(Phase phase) { return phase == Phase::kBackoff || phase == Phase::kFailed; }

}  // namespace

// ---- sessions ----

absl::Status Cluster::Core::NodeConnected(const NodeHello& hello, Instant now) {
  const auto [found, joined] = nodes_.try_emplace(hello.node);
  NodeEntry& node = found->second;
  const std::string& owner = node.record.agent_id;
  const bool may_be_alive = node.connected || now - node.last_heard < policy_.lost_after;
  if (!joined && !owner.empty() && owner != hello.agent_id && may_be_alive) {
    return absl::AlreadyExistsError(
        absl::StrCat("another agent is running as node ", hello.node.value,
                     "; give this one another --node name, or wait until that one is lost"));
  }
  if (joined || owner != hello.agent_id) {
    node.record.id = hello.node;
    node.record.agent_id = hello.agent_id;
    out_.writes.push_back(PutNode{node.record});
  }
  if (joined) AddEvent("node-joined", {}, "", hello.node, hello.address);

  node.heard = true;
  node.connected = true;
  std::vector<InstanceReport> reports = hello.instances;
  node.hello = hello;
  node.hello.instances.clear();
  Unindex(node);
  Heard(node, now);
  MarkNodeDirty(node);  // its address may be another one
  new_orders_.insert(hello.node);
  room_made_ = true;

  // The hello lists everything that exists on the node: what is missing is not there.
  std::set<AssignmentId> reported;
  for (const InstanceReport& report : reports) {
    const auto [entry, item] = FindAssignment(report.assignment);
    if (item == nullptr || item->assignment.node != hello.node) continue;  // not in its orders
    reported.insert(report.assignment);
    TakeReport(*entry, *item, report);
  }
  const std::set<AssignmentId> assigned = node.assignments;
  for (const AssignmentId& id : assigned) {
    if (reported.count(id) > 0) continue;
    TakeSilenceOf(*FindAssignment(id).first, id);
  }
  return absl::OkStatus();
}

void Cluster::Core::NodeDisconnected(const NodeId& id) {
  const auto found = nodes_.find(id);
  if (found == nodes_.end()) return;
  found->second.connected = false;
  Unindex(found->second);
  for (const AssignmentId& assignment : found->second.assignments) {
    changed_.insert(app_of_.at(assignment));
  }
}

void Cluster::Core::NodeHeartbeat(const NodeId& id, Instant now) {
  const auto found = nodes_.find(id);
  if (found != nodes_.end() && found->second.heard) Heard(found->second, now);
}

void Cluster::Core::InstanceChanged(const NodeId& id, const InstanceReport& report, Instant now) {
  NodeHeartbeat(id, now);
  const auto [entry, item] = FindAssignment(report.assignment);
  if (item == nullptr || item->assignment.node != id) return;
  TakeReport(*entry, *item, report);
}

void Cluster::Core::InstanceGone(const NodeId& node, const AssignmentId& id, Instant now) {
  NodeHeartbeat(node, now);
  const auto [entry, item] = FindAssignment(id);
  if (item == nullptr || item->assignment.node != node) return;
  TakeSilenceOf(*entry, id);
}

// ---- reports ----

void Cluster::Core::TakeReport(AppEntry& entry, AssignmentEntry& item,
                               const InstanceReport& report) {
  const std::optional<InstanceReport> before = std::exchange(item.report, report);
  dirty_.insert(entry.app.id);
  if (before == report) return;
  const bool was_ready = before && before->phase == Phase::kReady;
  if (report.phase == Phase::kReady && !was_ready) {
    AddInstanceEvent("instance-ready", item, "");
    // Stored before a table has it: what is not marked was never in a table.
    if (!item.assignment.was_ready && item.assignment.wish == Wish::kRun) {
      item.assignment.was_ready = true;
      touched_assignments_.insert(item.assignment.id);
    }
  }
  const bool restarted = before && report.restarts > before->restarts;
  const bool exited = HasExited(report.phase) && !(before && HasExited(before->phase));
  if (exited || (restarted && !(before && HasExited(before->phase)))) {
    AddInstanceEvent("instance-exited", item, report.detail);
    item.in_rotation_told = false;
  } else if (report.phase == Phase::kUnhealthy && was_ready) {
    AddInstanceEvent("instance-unhealthy", item, report.detail);
    item.in_rotation_told = false;
  }
}

// Nothing of the assignment exists on its node.
void Cluster::Core::TakeSilenceOf(AppEntry& entry, const AssignmentId& id) {
  AssignmentEntry& item = entry.assignments.at(id);
  dirty_.insert(entry.app.id);
  if (item.assignment.wish == Wish::kRun) {  // still to be started
    item.report.reset();
    return;
  }
  AddInstanceEvent("instance-gone", item, "");
  RemoveAssignment(entry, id);
}

// ---- silence ----

void Cluster::Core::Heard(NodeEntry& node, Instant now) {
  node.last_heard = now;
  const NodeState before = node.state;
  if (before != NodeState::kReady) {
    SetNodeState(node, NodeState::kReady);
    if (before != NodeState::kUnknown) {
      AddEvent("node-returned", {}, "", node.record.id, "");
      new_orders_.insert(node.record.id);
    }
    room_made_ = true;
    UpdateFreeze(now, /*give_grace=*/true);
    ArmNode(node);
  } else if (!deadlines_.Has({DeadlineKey::kNode, node.record.id.value})) {
    ArmNode(node);
  }
}

void Cluster::Core::SetNodeState(NodeEntry& node, NodeState state) {
  if (node.state == state) return;
  node.state = state;
  Unindex(node);
  MarkNodeDirty(node);
}

void Cluster::Core::MarkNodeDirty(const NodeEntry& node) {
  for (const AssignmentId& id : node.assignments) dirty_.insert(app_of_.at(id));
}

void Cluster::Core::ArmNode(NodeEntry& node) {
  const DeadlineKey key{DeadlineKey::kNode, node.record.id.value};
  switch (node.state) {
    case NodeState::kReady:
      deadlines_.Set(key, SuspectAt(lease_policy_, node.last_heard));
      break;
    case NodeState::kSuspect:
      // Nothing gets lost in a freeze; its end arms them again.
      if (frozen_) {
        deadlines_.Clear(key);
      } else {
        deadlines_.Set(key, LostAt(lease_policy_, node.last_heard, node.suspect_since));
      }
      break;
    case NodeState::kUnknown:
    case NodeState::kLost:
      deadlines_.Clear(key);
      break;
  }
}

void Cluster::Core::JudgeNodes(const std::vector<NodeId>& due, Instant now) {
  // All suspicion first, then the freeze, and only then losses: nodes that fell silent together
  // must be seen together.
  for (const NodeId& id : due) {
    NodeEntry& node = nodes_.at(id);
    if (node.state != NodeState::kReady || now < SuspectAt(lease_policy_, node.last_heard)) {
      continue;
    }
    node.suspect_since = node.heard ? now : SuspectAt(lease_policy_, node.last_heard);
    SetNodeState(node, NodeState::kSuspect);
    if (Counts(node)) AddEvent("node-suspect", {}, "", id, "");
  }
  UpdateFreeze(now, /*give_grace=*/true);
  for (const NodeId& id : due) {
    NodeEntry& node = nodes_.at(id);
    if (!frozen_ && node.state == NodeState::kSuspect &&
        now >= LostAt(lease_policy_, node.last_heard, node.suspect_since)) {
      if (Counts(node)) AddEvent("node-lost", {}, "", id, "");
      SetNodeState(node, NodeState::kLost);
    }
    ArmNode(node);
  }
}

void Cluster::Core::UpdateFreeze(Instant now, bool give_grace) {
  size_t counted = 0;
  size_t silent = 0;
  for (const auto& [id, node] : nodes_) {
    if (!Counts(node) || node.state == NodeState::kLost) continue;
    ++counted;
    if (node.state == NodeState::kSuspect) ++silent;
  }
  const bool freeze = ShouldFreeze(silent, counted);
  if (freeze == frozen_) return;
  frozen_ = freeze;
  MarkAllDirty();
  AddEvent(frozen_ ? "frozen" : "unfrozen", {}, "", {},
           absl::StrCat(silent, " of ", counted, " nodes are silent"));
  for (auto& [id, node] : nodes_) {
    if (node.state != NodeState::kSuspect) continue;
    // The others may be on their way back too: they get the time between the two clocks again.
    if (!frozen_ && give_grace) node.suspect_since = now;
    ArmNode(node);
  }
}

void Cluster::Core::EndRecovery(Instant now) {
  recovery_window_over_ = true;
  std::vector<NodeId> unheard;
  for (auto& [id, node] : nodes_) {
    if (node.state != NodeState::kUnknown) continue;
    node.state = NodeState::kReady;  // its lease began when this controller did
    Unindex(node);
    unheard.push_back(id);
  }
  MarkAllDirty();
  JudgeNodes(unheard, now);
}

absl::Status Cluster::Core::Unfreeze(Instant now) {
  if (!frozen_) return absl::FailedPreconditionError("the cluster is not frozen");
  for (auto& [id, node] : nodes_) {
    if (node.state != NodeState::kSuspect) continue;
    if (Counts(node)) AddEvent("node-lost", {}, "", id, "by an operator's word");
    SetNodeState(node, NodeState::kLost);
    ArmNode(node);
  }
  UpdateFreeze(now, /*give_grace=*/false);
  return absl::OkStatus();
}

}  // namespace pando::controller
