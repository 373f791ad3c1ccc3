// How one app converges: publish what can be served, decide, advance drains, until nothing changes.
#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "controller/core/cluster_core.h"
#include "controller/core/moves.h"
#include "controller/core/upstream_table.h"

namespace pando::controller {
namespace {

constexpr size_t kRevisionsKept = 10;

bool IsShownPickable(const AssignmentEntry& item) {
  return item.shown && *item.shown != Health::kDraining;
}

// Notes what the table of `generation` says of an assignment, before and now (nullptr: nothing).
void NoteShown(AssignmentEntry& item, const Endpoint* before, const Endpoint* now,
               uint64_t generation) {
  const bool is_pickable = now != nullptr && IsPickable(*now);
  if (IsShownPickable(item) && !is_pickable) item.unpickable_since = generation;
  if (is_pickable && now->health == Health::kHealthy) {
    const bool as_before = before != nullptr && before->health == Health::kHealthy &&
                           before->address == now->address && before->port == now->port;
    if (!as_before) item.healthy_since = generation;
  }
  item.shown = now == nullptr ? std::nullopt : std::make_optional(now->health);
  item.shown_port = now == nullptr ? uint16_t{0} : now->port;
}

// Visits each assignment whose endpoint differs between two tables, both sorted.
template <class Visit>
void ForEachDifference(const std::vector<Endpoint>& before, const std::vector<Endpoint>& now,
                       const Visit& visit) {
  const auto key = [](const Endpoint& e) { return std::tie(e.instance, e.assignment); };
  auto old = before.begin();
  auto fresh = now.begin();
  while (old != before.end() || fresh != now.end()) {
    if (fresh == now.end() || (old != before.end() && key(*old) < key(*fresh))) {
      visit(&*old, nullptr);
      ++old;
    } else if (old == before.end() || key(*fresh) < key(*old)) {
      visit(nullptr, &*fresh);
      ++fresh;
    } else {
      if (*old != *fresh) visit(&*old, &*fresh);
      ++old;
      ++fresh;
    }
  }
}

}  // namespace

void Cluster::Core::Converge(AppEntry& entry, Instant now) {
  changed_.insert(entry.app.id);
  if (IsHeld(entry)) {
    entry.clock.progress_at = now;
    return;
  }
  for (bool again = true; again;) {
    Publish(entry);
    again = AdvanceRollout(entry, now);
    again |= CarryOut(entry, now);
    again |= AdvanceDrains(entry, now);
  }
  Tell(entry);
  CollectRevisions(entry);
  if (RoutingConfig::AppRoute route = RouteOf(entry); entry.route != route) {
    entry.route = std::move(route);
    MarkRoutingChanged();
  }
  if (entry.app.removing && entry.assignments.empty()) {
    const AppId id = entry.app.id;
    ForgetApp(id);
  }
}

bool Cluster::Core::IsHeld(const AppEntry& entry) const {
  if (unheard_nodes_ == 0) return false;
  return std::any_of(entry.assignments.begin(), entry.assignments.end(), [&](const auto& pair) {
    const NodeEntry& node = NodeOf(pair.second);
    return !node.heard && node.state != NodeState::kLost;
  });
}

bool Cluster::Core::HidesUnheard(const AppEntry& entry) const {
  return std::any_of(entry.assignments.begin(), entry.assignments.end(), [&](const auto& pair) {
    const Assignment& a = pair.second.assignment;
    return a.wish == Wish::kRun && a.was_ready && !NodeOf(pair.second).heard;
  });
}

void Cluster::Core::Publish(AppEntry& entry) {
  std::vector<EndpointState> states;
  states.reserve(entry.assignments.size());
  for (const auto& [id, item] : entry.assignments) {
    EndpointState& state = states.emplace_back();
    if (!item.report) continue;  // without a port it is not shown
    state = {.port = item.report->port,
             .wish = item.assignment.wish,
             .phase = item.report->phase,
             .was_ready = item.assignment.was_ready,
             .node_suspect = ShownSuspect(NodeOf(item))};
  }
  const std::vector<std::optional<Health>> healths = HealthsOf(states);
  if (entry.published && !entry.readdressed && IsAsShown(entry, states, healths)) return;
  const bool any_pickable = std::any_of(healths.begin(), healths.end(), [](const auto& health) {
    return health && *health != Health::kDraining;
  });
  if (!entry.published && !any_pickable && HidesUnheard(entry)) return;

  std::vector<Endpoint> endpoints = BuildEndpoints(entry, states, healths);
  entry.readdressed = false;
  if (entry.published && endpoints == entry.table.endpoints) return;
  entry.published = true;
  entry.table.generation = ++last_generation_;
  new_tables_.insert(entry.app.id);
  ForEachDifference(
      entry.table.endpoints, endpoints, [&](const Endpoint* before, const Endpoint* now) {
        const auto item =
            entry.assignments.find(before != nullptr ? before->assignment : now->assignment);
        if (item == entry.assignments.end()) return;  // gone altogether
        NodeOf(item->second).shown += (now != nullptr ? 1 : 0);
        NodeOf(item->second).shown -= (before != nullptr ? 1 : 0);
        NoteShown(item->second, before, now, entry.table.generation);
      });
  entry.table.endpoints = std::move(endpoints);
}

// The table need not be built anew to see that it would be the same.
bool Cluster::Core::IsAsShown(const AppEntry& entry, const std::vector<EndpointState>& states,
                              const std::vector<std::optional<Health>>& healths) {
  size_t shown = 0;
  size_t i = 0;
  for (const auto& [id, item] : entry.assignments) {
    if (item.shown != healths[i]) return false;
    if (item.shown) {
      ++shown;
      if (item.shown_port != states[i].port) return false;
    }
    ++i;
  }
  return shown == entry.table.endpoints.size();  // what was removed is still in the table
}

std::vector<Endpoint> Cluster::Core::BuildEndpoints(
    const AppEntry& entry, const std::vector<EndpointState>& states,
    const std::vector<std::optional<Health>>& healths) const {
  std::vector<Endpoint> endpoints;
  endpoints.reserve(states.size());
  size_t i = 0;
  for (const auto& [id, item] : entry.assignments) {
    if (healths[i]) {
      const Assignment& a = item.assignment;
      endpoints.push_back({.assignment = id,
                           .instance = InstanceName(a.app, a.slot),
                           .node = a.node,
                           .revision = a.revision,
                           .address = NodeOf(item).hello.address,
                           .port = states[i].port,
                           .health = *healths[i]});
    }
    ++i;
  }
  SortEndpoints(endpoints);
  return endpoints;
}

bool Cluster::Core::CarryOut(AppEntry& entry, Instant now) {
  const uint64_t acked = AckedByAll(entry.app.id);
  std::vector<AssignmentView> views;
  views.reserve(entry.assignments.size());
  const Millis min_ready = StrategyOf(entry).min_ready;
  for (const auto& [id, item] : entry.assignments) {
    views.push_back({.id = id,
                     .slot = item.assignment.slot,
                     .revision = item.assignment.revision,
                     .wish = item.assignment.wish,
                     .serving = IsServing(item),
                     .available = IsAvailable(item, acked),
                     .proven = IsProven(item, min_ready, now),
                     .lost = NodeOf(item).state == NodeState::kLost,
                     .leaving = IsLeaving(item),
                     .evicted = IsEvicted(item)});
  }
  const Desired desired = ToDesired(entry);
  const Moves moves(std::move(views));
  const Changes changes =
      moves.Plan(Reconcile(desired, moves.merged()), std::max(1u, desired.surge));

  for (const AssignmentId& id : changes.discard) {
    AddInstanceEvent("instance-gone", entry.assignments.at(id), "its node is lost");
    RemoveAssignment(entry, id);
  }
  for (const AssignmentId& id : changes.retire) {
    AssignmentEntry& item = entry.assignments.at(id);
    SetWish(item, Wish::kDrain);
    ArmDrain(entry, item, now);
  }
  const bool placed = PlaceAll(entry, changes.place);
  return placed || !changes.discard.empty() || !changes.retire.empty();
}

bool Cluster::Core::AdvanceDrains(AppEntry& entry, Instant now) {
  std::vector<AssignmentId> draining;
  for (const auto& [id, item] : entry.assignments) {
    if (item.assignment.wish == Wish::kDrain) draining.push_back(id);
  }
  bool advanced = false;
  for (const AssignmentId& id : draining) {
    AssignmentEntry& item = entry.assignments.at(id);
    const DrainInput input = ToDrainInput(entry, item);
    const DrainVerdict verdict = JudgeDrain(input, DrainProxies(entry, item), now);
    if (verdict.result == DrainResult::kWait) {
      // Looked at again when what holds it now has had its time.
      if (now >= input.deadline) {
        deadlines_.Set({DeadlineKey::kDrain, id.value}, input.tunnel_deadline);
      }
      continue;
    }
    advanced = true;
    if (verdict.result == DrainResult::kTimedOut) {
      AddInstanceEvent("drain-timeout", item,
                       absl::StrCat("still held by ", DescribeHolders(item, verdict.holders)));
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

void Cluster::Core::ArmDrain(const AppEntry& entry, AssignmentEntry& item, Instant now) {
  const RevisionConfig& config = ConfigOf(entry, item.assignment.revision);
  item.drain_deadline = now + config.drain_timeout;
  item.tunnel_deadline = now + std::max(config.drain_timeout, config.drain_tunnels);
  deadlines_.Set({DeadlineKey::kDrain, item.assignment.id.value}, *item.drain_deadline);
}

std::string Cluster::Core::DescribeHolders(const AssignmentEntry& item,
                                           const std::vector<ProxyId>& holders) const {
  return absl::StrJoin(holders, ", ", [&](std::string* out, const ProxyId& id) {
    out->append(id.value);
    const auto said = item.in_flight.find(id);
    const InFlight held = said == item.in_flight.end() ? InFlight{} : said->second;
    if (held.requests > held.tunnels) {
      absl::StrAppend(out, " (", held.requests - held.tunnels, " requests",
                      held.tunnels > 0 ? absl::StrCat(", ", held.tunnels, " tunnels)") : ")");
    } else if (held.tunnels > 0) {
      absl::StrAppend(out, " (", held.tunnels, " tunnels)");
    } else {
      const auto proxy = proxies_.find(id);
      const bool reports = proxy == proxies_.end() || proxy->second.capabilities.reports_drains;
      out->append(reports ? " (has to acknowledge)" : " (does not report its requests)");
    }
  });
}

DrainInput Cluster::Core::ToDrainInput(const AppEntry& entry, const AssignmentEntry& item) const {
  DrainInput input;
  const bool unknown = !item.report && !NodeOf(item).heard;
  const bool has_process = item.report && HasProcess(item.report->phase);
  const bool never_shown = !item.shown && item.unpickable_since == 0;
  input.unused = (!has_process && !unknown) || never_shown;
  if (entry.published && !IsShownPickable(item)) {
    input.unpickable_since = item.unpickable_since;
  }
  input.deadline = item.drain_deadline.value_or(started_);
  input.tunnel_deadline = item.tunnel_deadline.value_or(input.deadline);
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
                    .tunnels = said == item.in_flight.end() ? 0 : said->second.tunnels,
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
         !ShownSuspect(NodeOf(item)) && item.shown == Health::kHealthy &&
         item.healthy_since <= acked_by_all;
}

bool Cluster::Core::IsServing(const AssignmentEntry& item) const {
  if (item.shown) return IsShownPickable(item);
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
      AddInstanceEvent("draining", item, WhyDrained(entry, item));
    }
  }
  if (entry.pending_reason == entry.pending_reason_told) return;
  entry.pending_reason_told = entry.pending_reason;
  if (!entry.pending_reason.empty()) {
    AddEvent("pending", entry.app.id, "", {}, entry.pending_reason);
  }
}

std::string Cluster::Core::WhyDrained(const AppEntry& entry, const AssignmentEntry& item) const {
  const App& app = entry.app;
  const Assignment& assignment = item.assignment;
  if (app.removing) return "the app is removed";
  if (app.stopped) return "the app is stopped";
  if (assignment.slot > app.replicas) return absl::StrCat("replicas is ", app.replicas);
  if (assignment.revision != app.revision) {
    return absl::StrCat("revision ", app.revision, " takes over from ", assignment.revision);
  }
  if (NodeOf(item).record.draining) return "its node is drained";
  return "another node takes it over";
}

void Cluster::Core::CollectRevisions(AppEntry& entry) {
  if (entry.revisions.size() <= kRevisionsKept) return;
  std::set<uint32_t> used{entry.app.revision, entry.app.rollout.from, entry.app.rollout.failed};
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
