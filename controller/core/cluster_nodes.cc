// Agents' sessions, what they report, and what their silence means.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "controller/core/cluster_core.h"
#include "controller/core/crash_loop.h"

namespace pando::controller {
namespace {

constexpr Millis kFreezeLook{500};  // how often a freeze looks at what proxies say

bool HasExited(Phase phase) { return phase == Phase::kBackoff || phase == Phase::kFailed; }

// With the end of the log of what failed.
std::string DescribeFailedPreparation(const InstanceReport& report) {
  return absl::StrCat(report.detail, report.last_lines.empty() ? "" : ": ",
                      absl::StrJoin(report.last_lines, " | "));
}

// Told of since the last report; nothing of what was there before the first.
bool LostMoreChildren(const InstanceReport& before, const InstanceReport& report) {
  const bool same = before.incarnation == report.incarnation;
  return report.child_oom_kills > (same ? before.child_oom_kills : 0);
}

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
  if (joined || node.state == NodeState::kLost) RebalanceSoon(now);

  if (!std::exchange(node.heard, true) && !joined) --unheard_nodes_;
  node.connected = true;
  std::vector<InstanceReport> reports = hello.instances;
  node.hello = hello;
  node.hello.instances.clear();
  Unindex(node);
  Heard(node, now);
  MarkNodeDirty(node);
  for (const AssignmentId& id : node.assignments) apps_.at(app_of_.at(id)).readdressed = true;
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
  if (before && before->phase == Phase::kPreparing && report.phase == Phase::kFailed) {
    AddInstanceEvent("prepare-failed", item, DescribeFailedPreparation(report));
  } else if (exited || (restarted && !(before && HasExited(before->phase)))) {
    AddInstanceEvent("instance-exited", item, report.detail);
    item.in_rotation_told = false;
    if (IsCrashLoop(report) && !(before && before->crashes >= kCrashesInALoop)) {
      AddInstanceEvent("crash-loop", item, DescribeCrash(report));
    }
  } else if (report.phase == Phase::kUnhealthy && was_ready) {
    AddInstanceEvent("instance-unhealthy", item, report.detail);
    item.in_rotation_told = false;
  }
  if (before && LostMoreChildren(*before, report)) {
    AddInstanceEvent("child-oom-killed", item,
                     absl::StrCat(report.child_oom_kills,
                                  " of its child processes OOMKilled since its start; it runs on"));
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
    ForgetLoss(node);
    // One more that speaks cannot be what makes it freeze.
    if (frozen_) UpdateFreeze(now, /*give_grace=*/true);
    ArmNode(node, now);
  } else if (!deadlines_.Has({DeadlineKey::kNode, node.record.id.value})) {
    ArmNode(node, now);
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

void Cluster::Core::ArmNode(NodeEntry& node, Instant now) {
  const DeadlineKey key{DeadlineKey::kNode, node.record.id.value};
  switch (node.state) {
    case NodeState::kReady:
      deadlines_.Set(key, SuspectAt(lease_policy_, node.last_heard));
      break;
    case NodeState::kSuspect: {
      const Instant lost_at = LostAt(lease_policy_, node.last_heard, node.suspect_since);
      // In a freeze only what proxies say makes it lost, and they may have said it already.
      deadlines_.Set(key, frozen_ ? std::max(lost_at, now + kFreezeLook) : lost_at);
      break;
    }
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
    // Who stays away after a start is silent since then - unless this controller slept meanwhile,
    // and their hellos are still waiting to be read.
    const bool slept = woke_at_ == now;
    node.suspect_since = node.heard || slept ? now : SuspectAt(lease_policy_, node.last_heard);
    SetNodeState(node, NodeState::kSuspect);
    if (Counts(node)) AddEvent("node-suspect", {}, "", id, "");
  }
  UpdateFreeze(now, /*give_grace=*/true);
  for (const NodeId& id : due) {
    NodeEntry& node = nodes_.at(id);
    const bool due_now = node.state == NodeState::kSuspect &&
                         now >= LostAt(lease_policy_, node.last_heard, node.suspect_since);
    const bool confirmed = due_now && frozen_ && IsConfirmedLost(node, now);
    if (due_now && (!frozen_ || confirmed)) {
      LoseNode(node, confirmed ? "proxies confirm it: its instances cannot be reached" : "", now);
      if (confirmed) ForgetLoss(node);
    }
    ArmNode(node, now);
  }
  UpdateFreeze(now, /*give_grace=*/true);
}

void Cluster::Core::LoseNode(NodeEntry& node, const std::string& how, Instant now) {
  if (Counts(node)) AddEvent("node-lost", {}, "", node.record.id, how);
  node.lost_at = now;
  node.instances_lost = Serving(node, AllPublished());
  deadlines_.Set({DeadlineKey::kLossWindow, node.record.id.value}, now + policy_.loss_window);
  SetNodeState(node, NodeState::kLost);
}

bool Cluster::Core::IsConfirmedLost(const NodeEntry& node, Instant now) const {
  std::vector<Reach> shown;
  for (const AssignmentId& id : node.assignments) {
    const AssignmentEntry& item = apps_.at(app_of_.at(id)).assignments.at(id);
    const bool unheard = !node.heard && item.assignment.was_ready;
    if (item.shown || unheard) shown.push_back(item.reach);
  }
  return ConfirmsLoss(shown, node.last_heard, now);
}

void Cluster::Core::ForgetLoss(NodeEntry& node) {
  node.lost_at.reset();
  deadlines_.Clear({DeadlineKey::kLossWindow, node.record.id.value});
}

bool Cluster::Core::AllPublished() const {
  return std::all_of(apps_.begin(), apps_.end(), [](const auto& pair) {
    return pair.second.published || pair.second.assignments.empty();
  });
}

FleetCount Cluster::Core::CountFleet(Instant now) const {
  FleetCount fleet;
  const bool by_tables = AllPublished();
  for (const auto& [id, node] : nodes_) {
    const bool lost = node.state == NodeState::kLost;
    if (!CountsInFleet(node, now) || (lost && !node.lost_at)) continue;
    const size_t instances = lost ? node.instances_lost : Serving(node, by_tables);
    fleet.nodes += 1;
    fleet.instances += instances;
    if (!lost && node.state != NodeState::kSuspect) continue;
    fleet.silent_nodes += 1;
    fleet.silent_instances += instances;
  }
  return fleet;
}

void Cluster::Core::UpdateFreeze(Instant now, bool give_grace) {
  const FleetCount fleet = CountFleet(now);
  // With nobody silent but those already replaced there is nothing to protect.
  const bool any_suspect = std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& pair) {
    return pair.second.state == NodeState::kSuspect && Counts(pair.second);
  });
  const bool freeze = any_suspect && ShouldFreeze(fleet);
  if (freeze) frozen_reason_ = Describe(fleet);
  if (freeze == frozen_) return;
  frozen_ = freeze;
  MarkAllDirty();
  AddEvent(frozen_ ? "frozen" : "unfrozen", {}, "", {}, Describe(fleet));
  for (auto& [id, node] : nodes_) {
    // Who has not been heard since this controller's start is as silent as the others.
    if (!frozen_ && give_grace && node.state == NodeState::kUnknown) node.last_heard = now;
    if (node.state != NodeState::kSuspect) continue;
    // The others may be on their way back too: they get the time between the two clocks again.
    if (!frozen_ && give_grace) node.suspect_since = now;
    ArmNode(node, now);
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
    if (node.state == NodeState::kSuspect) {
      LoseNode(node, "by an operator's word", now);
      ArmNode(node, now);
    }
    ForgetLoss(node);
  }
  UpdateFreeze(now, /*give_grace=*/false);
  return absl::OkStatus();
}

}  // namespace pando::controller
