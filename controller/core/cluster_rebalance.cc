// Moves instances to where they are better off: when a node joined, or by an operator's word. A few
// at a time, each like that of a node's drain, and never while anything is in doubt.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controller/core/cluster_core.h"
#include "controller/core/no_such.h"
#include "controller/core/rebalance.h"

namespace pando::controller {
namespace {

constexpr size_t kMostPlanned = 1'000;
constexpr Millis kPumpInterval{500};
// Beyond the time an instance may take to start: then the move is given up.
constexpr Millis kMoveSlack{30'000};

}  // namespace

absl::StatusOr<RebalanceOutcome> Cluster::Core::Rebalance(const AppId& only, bool plan_only,
                                                          Instant now) {
  if (!only.empty() && FindApp(only) == nullptr) return NoSuch("app", only.value, apps_);
  RebalanceOutcome outcome;
  outcome.at_once = policy_.moves_at_once;
  for (auto& [id, entry] : apps_) {
    if (!only.empty() && id != only) continue;
    for (const PlannedMove& move : PlanMovesOf(entry, kMostPlanned)) {
      outcome.moves.push_back({InstanceNameOf(entry, move.id), move.from, move.to, move.reason});
    }
    if (!plan_only) Enqueue(id);
  }
  if (!plan_only) PumpRebalance(now);
  return outcome;
}

std::string Cluster::Core::InstanceNameOf(const AppEntry& entry, const AssignmentId& id) {
  return InstanceName(entry.app.id, entry.assignments.at(id).assignment.slot);
}

void Cluster::Core::RebalanceSoon(Instant now) {
  if (policy_.rebalance_after > Millis{0}) {
    deadlines_.Set({DeadlineKey::kRebalance, ""}, now + policy_.rebalance_after);
  }
}

void Cluster::Core::RebalanceAll(Instant now) {
  for (const auto& [id, entry] : apps_) Enqueue(id);
  PumpRebalance(now);
}

void Cluster::Core::Enqueue(const AppId& id) {
  if (std::find(rebalance_queue_.begin(), rebalance_queue_.end(), id) == rebalance_queue_.end()) {
    rebalance_queue_.push_back(id);
  }
}

std::vector<PlannedMove> Cluster::Core::PlanMovesOf(AppEntry& entry, size_t most) {
  UpdateIndex();
  std::vector<PlacedInstance> placed;
  for (const auto& [id, item] : entry.assignments) {
    const Assignment& a = item.assignment;
    if (a.wish != Wish::kRun || a.revision != entry.app.revision || IsLeaving(item)) continue;
    if (NodeOf(item).state == NodeState::kReady) placed.push_back({id, a.node});
  }
  return PlanRebalance(index_, ConfigOf(entry, entry.app.revision), std::move(placed), most);
}

// Nothing else is going on with the app: every slot has its one instance, and it serves.
bool Cluster::Core::MayRebalance(const AppEntry& entry) const {
  const uint64_t acked = AckedByAll(entry.app.id);
  const bool calm =
      std::all_of(entry.assignments.begin(), entry.assignments.end(), [&](const auto& pair) {
        const AssignmentEntry& item = pair.second;
        if (item.assignment.wish != Wish::kRun) return true;
        return item.assignment.revision == entry.app.revision && IsAvailable(item, acked);
      });
  return calm && entry.pending_reason.empty() && !IsHeld(entry);
}

void Cluster::Core::PumpRebalance(Instant now) {
  EndMoves(now);
  if (frozen_) return WatchMoves(now);
  for (size_t looked = rebalance_queue_.size(); looked > 0; --looked) {
    if (moves_.size() >= policy_.moves_at_once) break;
    const AppId id = rebalance_queue_.front();
    rebalance_queue_.pop_front();
    AppEntry* const entry = FindApp(id);
    if (entry == nullptr || WantedReplicas(entry->app) == 0) continue;
    if (!MayRebalance(*entry)) {
      rebalance_queue_.push_back(id);  // later
      continue;
    }
    const auto moves = PlanMovesOf(*entry, policy_.moves_at_once - moves_.size());
    for (const PlannedMove& move : moves) BeginMove(*entry, move, now);
    if (!moves.empty()) rebalance_queue_.push_back(id);  // until its plan is empty
  }
  WatchMoves(now);
}

void Cluster::Core::WatchMoves(Instant now) {
  if (moves_.empty() && rebalance_queue_.empty()) {
    deadlines_.Clear({DeadlineKey::kMoves, ""});
  } else {
    deadlines_.Set({DeadlineKey::kMoves, ""}, now + kPumpInterval);
  }
}

void Cluster::Core::BeginMove(AppEntry& entry, const PlannedMove& move, Instant now) {
  AssignmentEntry& item = entry.assignments.at(move.id);
  item.moving = true;
  moves_[move.id] = now + ConfigOf(entry, entry.app.revision).startup_timeout + kMoveSlack;
  dirty_.insert(entry.app.id);
  AddInstanceEvent("moving", item, absl::StrCat("to ", move.to.value, ": ", move.reason));
}

void Cluster::Core::EndMoves(Instant now) {
  for (auto it = moves_.begin(); it != moves_.end();) {
    const auto [entry, item] = FindAssignment(it->first);
    const bool over = item == nullptr || item->assignment.wish != Wish::kRun || !item->moving;
    if (!over && now < it->second) {
      ++it;
      continue;
    }
    if (!over) {
      GiveUpMove(*entry, *item, "what should take over does not become ready");
      std::erase(rebalance_queue_, entry->app.id);
    }
    it = moves_.erase(it);
  }
}

void Cluster::Core::GiveUpMove(AppEntry& entry, AssignmentEntry& item, const std::string& why) {
  item.moving = false;
  dirty_.insert(entry.app.id);
  AddInstanceEvent("move-given-up", item, why);
}

bool Cluster::Core::StaysAfterAll(AppEntry& entry, const Placing& placing, const NodeId& node) {
  if (moves_.empty()) return false;
  for (auto& [id, item] : entry.assignments) {
    const Assignment& a = item.assignment;
    if (!item.moving || a.slot != placing.slot || a.revision != placing.revision) continue;
    if (a.node != node) continue;
    GiveUpMove(entry, item, "it is where it should be by now");
    return true;
  }
  return false;
}

}  // namespace pando::controller
