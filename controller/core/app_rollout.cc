// How an app's newest release makes its way: steps, proof, rollback; and what operators may say
// meanwhile. The decisions themselves are rollout.h and evidence.h.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "controller/core/cluster_core.h"
#include "controller/core/crash_loop.h"
#include "controller/core/routing.h"

namespace pando::controller {
namespace {

constexpr Millis kWarmUp{3'000};

std::string Name(uint32_t revision) { return absl::StrCat("r", revision); }

// Why instances of the current release do not become ready, or empty.
std::string FailingStart(const AppEntry& entry, uint32_t failed_starts_to_fail) {
  for (const auto& [id, item] : entry.assignments) {
    const Assignment& a = item.assignment;
    if (a.wish != Wish::kRun || a.revision != entry.app.revision || !item.report) continue;
    const InstanceReport& report = *item.report;
    const bool failing = !a.was_ready || report.phase == Phase::kFailed;
    if (!failing || report.failed_starts < failed_starts_to_fail) continue;
    const std::string why = DescribeCrash(report);
    return absl::StrCat(InstanceName(a.app, a.slot), " on ", a.node.value, ": ",
                        why.empty() ? "does not become ready" : why, " (", report.failed_starts,
                        " failed starts)");
  }
  return "";
}

// Instances that become ready and then end, before they were healthy for long.
std::string RepeatedExits(const AppEntry& entry, uint32_t most) {
  uint32_t exits = 0;
  const AssignmentEntry* worst = nullptr;
  for (const auto& [id, item] : entry.assignments) {
    const Assignment& a = item.assignment;
    if (a.wish != Wish::kRun || a.revision != entry.app.revision || !item.report) continue;
    exits += item.report->crashes;
    if (worst == nullptr || item.report->crashes > worst->report->crashes) worst = &item;
  }
  if (worst == nullptr || exits < most) return "";
  const Assignment& a = worst->assignment;
  const std::string why = DescribeCrash(*worst->report);
  return absl::StrCat(InstanceName(a.app, a.slot), " on ", a.node.value, ": ",
                      why.empty() ? "ended" : why, " (", exits, " exits of the new instances)");
}

absl::Status NoRollout(const AppId& id) {
  return absl::FailedPreconditionError(absl::StrCat(id.value, ": no rollout is in progress"));
}

}  // namespace

// ---- what is so ----

std::string Cluster::Core::FailureOf(const AppEntry& entry) const {
  std::string failure = FailingStart(entry, policy_.failed_starts_to_fail);
  return failure.empty() ? entry.stalled : failure;
}

bool Cluster::Core::MayRollBack(const AppEntry& entry) const {
  const Rollout& rollout = entry.app.rollout;
  return !rollout.done && rollout.from != 0 && entry.revisions.count(rollout.from) > 0 &&
         StrategyOf(entry).auto_rollback;
}

uint32_t Cluster::Core::StableOf(const AppEntry& entry) const {
  const Rollout& rollout = entry.app.rollout;
  if (rollout.done || entry.revisions.count(rollout.from) == 0) return 0;
  return rollout.from;
}

uint32_t Cluster::Core::LastLive(const AppEntry& entry) const {
  const auto found = entry.revisions.find(entry.app.revision);
  const bool live = found != entry.revisions.end() && found->second.result == ReleaseResult::kLive;
  return entry.app.rollout.done || live ? entry.app.revision : entry.app.rollout.from;
}

Desired Cluster::Core::ToDesired(const AppEntry& entry) const {
  const uint32_t replicas = WantedReplicas(entry.app);
  const Strategy& strategy = StrategyOf(entry);
  const RolloutLimits limits = LimitsOf(strategy, replicas);
  Desired desired{.replicas = replicas,
                  .revision = entry.app.revision,
                  .surge = limits.surge,
                  .unavailable = limits.unavailable,
                  .stable = StableOf(entry),
                  .paused = entry.app.rollout.paused};
  if (const auto step = CurrentStep(strategy, entry.app.rollout, replicas)) {
    desired.slots = step->slots;
    desired.surge = std::max(limits.surge, step->slots);
    desired.hold = true;
  }
  return desired;
}

RoutingConfig::AppRoute Cluster::Core::RouteOf(const AppEntry& entry) const {
  const App& app = entry.app;
  const auto step = CurrentStep(StrategyOf(entry), app.rollout, WantedReplicas(app));
  const uint32_t stable = StableOf(entry);
  // Routes and policy change with the release: not before it has passed its steps.
  const bool held = step && stable != 0;
  RoutingConfig::AppRoute route = ToAppRoute(app.id, ConfigOf(entry, held ? stable : app.revision));
  if (held && step->traffic) route.split = TrafficSplit{app.revision, *step->traffic};
  return route;
}

void Cluster::Core::NoteAvailable(AppEntry& entry, Instant now) {
  const uint64_t acked = AckedByAll(entry.app.id);
  for (auto& [id, item] : entry.assignments) {
    if (!IsAvailable(item, acked)) {
      item.available_since.reset();
    } else if (!item.available_since) {
      item.available_since = now;
    }
  }
}

bool Cluster::Core::IsProven(const AssignmentEntry& item, Millis min_ready, Instant now) {
  return item.available_since && now - *item.available_since >= min_ready;
}

RolloutView Cluster::Core::ToRolloutView(const AppEntry& entry, Instant now) const {
  const App& app = entry.app;
  RolloutView view;
  view.replicas = WantedReplicas(app);
  std::set<uint32_t> proven;
  const Millis min_ready = StrategyOf(entry).min_ready;
  for (const auto& [id, item] : entry.assignments) {
    const Assignment& a = item.assignment;
    if (a.wish != Wish::kRun) continue;
    if (a.revision != app.revision) {
      view.older_left = true;
    } else if (a.slot <= view.replicas && IsProven(item, min_ready, now)) {
      proven.insert(a.slot);
    }
  }
  view.proven = static_cast<uint32_t>(proven.size());
  view.suspended = frozen_ || app.stopped || app.removing;
  view.crash = FailingStart(entry, policy_.failed_starts_to_fail);
  view.blind = SilentProxies();
  if (!MayRollBack(entry)) return view;
  if (view.crash.empty()) {
    // Of many, a few end for reasons of their own.
    const uint32_t most = std::max(policy_.failed_starts_to_fail, view.replicas / 20);
    view.crash = RepeatedExits(entry, most);
  }
  const auto load_of = [&](uint32_t revision) {
    const auto found = entry.loads.find(revision);
    return found == entry.loads.end() ? Load{} : found->second;
  };
  view.evidence = JudgeEvidence(load_of(app.revision), load_of(app.rollout.from),
                                StrategyOf(entry).evidence, Name(app.rollout.from));
  return view;
}

// ---- what is done ----

void Cluster::Core::BeginRollout(AppEntry& entry, uint32_t from, bool direct) {
  Rollout& rollout = entry.app.rollout;
  rollout = {};
  rollout.done = false;
  if (!direct && from != 0) {
    rollout.from = from;
    rollout.step = 0;
  }
  entry.clock = {};
  entry.stalled.clear();
  entry.loads.clear();
  touched_apps_.insert(entry.app.id);
  dirty_.insert(entry.app.id);
}

void Cluster::Core::SetResult(AppEntry& entry, uint32_t number, ReleaseResult result,
                              std::string detail) {
  const auto found = entry.revisions.find(number);
  if (found == entry.revisions.end()) return;
  Revision& revision = found->second;
  if (revision.result == result && revision.result_detail == detail) return;
  revision.result = result;
  revision.result_detail = std::move(detail);
  out_.writes.push_back(PutRevision{revision});
}

bool Cluster::Core::AdvanceRollout(AppEntry& entry, Instant now) {
  NoteAvailable(entry, now);
  const DeadlineKey key{DeadlineKey::kRollout, entry.app.id.value};
  App& app = entry.app;
  if (app.rollout.done) {
    deadlines_.Clear(key);
    return false;
  }
  const Strategy& strategy = StrategyOf(entry);
  if (woke_at_) {
    // What this controller slept through counts neither against the release nor for it.
    RolloutClock& clock = entry.clock;
    if (clock.progress_at) clock.progress_at = std::max(*clock.progress_at, *woke_at_);
    if (clock.step_since) clock.step_since = std::max(*clock.step_since, *woke_at_);
  }
  const RolloutVerdict verdict =
      JudgeRollout(strategy, app.rollout, ToRolloutView(entry, now), now, entry.clock);
  entry.stalled.clear();
  switch (verdict.move) {
    case RolloutMove::kWait: {
      std::optional<Instant> look_again = verdict.look_again;
      for (const auto& [id, item] : entry.assignments) {
        if (!item.available_since || IsProven(item, strategy.min_ready, now)) continue;
        const Instant proven_at = *item.available_since + strategy.min_ready;
        look_again = look_again ? std::min(*look_again, proven_at) : proven_at;
      }
      deadlines_.Clear(key);
      if (look_again) deadlines_.Set(key, *look_again);
      return false;
    }
    case RolloutMove::kNextStep:
      NextStep(entry);
      return true;
    case RolloutMove::kComplete:
      app.rollout.done = true;
      app.rollout.from = 0;
      app.rollout.step = kAllSteps;
      app.rollout.loads.clear();
      touched_apps_.insert(app.id);
      SetResult(entry, app.revision, ReleaseResult::kLive, "");
      AddEvent("live", app.id, "", {},
               absl::StrCat("revision ", app.revision, ", acknowledged by ", proxies_.size(),
                            " proxies"));
      return true;
    case RolloutMove::kFail:
      if (MayRollBack(entry)) {
        RollBack(entry, verdict.reason);
        return true;
      }
      deadlines_.Clear(key);
      entry.stalled = verdict.reason;
      return false;
  }
  return false;
}

void Cluster::Core::NextStep(AppEntry& entry) {
  App& app = entry.app;
  app.rollout.step += 1;
  entry.clock.step_since.reset();
  entry.clock.progress_at.reset();
  const uint32_t replicas = WantedReplicas(app);
  const size_t steps = StepsOf(StrategyOf(entry), replicas).size();
  const auto step = CurrentStep(StrategyOf(entry), app.rollout, replicas);
  if (!step) {
    app.rollout.step = kAllSteps;
    AddEvent("rollout-step", app.id, "", {},
             absl::StrCat("revision ", app.revision, ": the rest follows"));
  } else {
    AddEvent("rollout-step", app.id, "", {},
             absl::StrCat("revision ", app.revision, ": step ", app.rollout.step + 1, " of ", steps,
                          step->traffic ? absl::StrCat(", ", *step->traffic, "% of requests") : "",
                          ", instances ", step->slots));
  }
  touched_apps_.insert(app.id);
}

void Cluster::Core::RollBack(AppEntry& entry, const std::string& reason) {
  App& app = entry.app;
  const uint32_t bad = app.revision;
  const uint32_t good = app.rollout.from;
  SetResult(entry, bad, ReleaseResult::kRolledBack, reason);
  app.revision = good;
  app.generation += 1;
  BeginRollout(entry, 0, /*direct=*/true);
  app.rollout.failed = bad;
  app.rollout.failure = reason;
  AddEvent("rolled-back", app.id, "", {},
           absl::StrCat("revision ", bad, " -> ", good, ": ", reason));
}

void Cluster::Core::ProxyLoads(const std::vector<std::pair<AssignmentId, Load>>& loads,
                               Instant now) {
  std::set<AppEntry*> concerned;
  for (const auto& [id, load] : loads) {
    const auto [entry, item] = FindAssignment(id);
    if (item == nullptr || entry->app.rollout.done || load == Load{}) continue;
    Load& sum = entry->loads[item->assignment.revision];
    sum.requests += load.requests;
    sum.errors += load.errors;
    // The first answers of a process say little of how long the later ones take.
    const bool warm = item->available_since && now - *item->available_since >= kWarmUp;
    if (warm) sum += Load{.latency = load.latency};
    concerned.insert(entry);
  }
  for (AppEntry* entry : concerned) {
    KeepEvidence(*entry);
    dirty_.insert(entry->app.id);
  }
}

void Cluster::Core::KeepEvidence(AppEntry& entry) {
  std::map<uint32_t, Load>& kept = entry.app.rollout.loads;
  const bool more = std::any_of(entry.loads.begin(), entry.loads.end(), [&](const auto& seen) {
    const auto before = kept.find(seen.first);
    return IsMuchMore(seen.second, before == kept.end() ? Load{} : before->second);
  });
  if (!more) return;
  kept = entry.loads;
  touched_apps_.insert(entry.app.id);
}

std::string Cluster::Core::SilentProxies() const {
  std::vector<std::string> silent;
  for (const auto& [id, proxy] : proxies_) {
    if (proxy.capabilities.reports_drains && !proxy.reports) silent.push_back(id.value);
  }
  if (silent.empty()) return "";
  return absl::StrCat("no word on requests from ", absl::StrJoin(silent, ", "));
}

// ---- what operators say ----

absl::StatusOr<ChangeOutcome> Cluster::Core::Undo(const AppId& id, uint32_t to) {
  PANDO_ASSIGN_OR_RETURN(AppEntry * entry, FindChangeable(id));
  App& app = entry->app;
  const auto kept = [&] {
    std::string names;
    for (const auto& [number, revision] : entry->revisions) {
      absl::StrAppend(&names, names.empty() ? "" : ", ", Name(number));
    }
    return names;
  };
  if (to == 0 && !app.rollout.done && app.rollout.from != 0) to = app.rollout.from;
  for (auto it = entry->revisions.rbegin(); to == 0 && it != entry->revisions.rend(); ++it) {
    if (it->first < app.revision && it->second.result == ReleaseResult::kLive) to = it->first;
  }
  if (to == 0) {
    return absl::FailedPreconditionError(absl::StrCat(id.value, ": no release was live before ",
                                                      Name(app.revision), " (kept are: ", kept(),
                                                      "; name one with --to)"));
  }
  const auto found = entry->revisions.find(to);
  if (found == entry->revisions.end()) {
    return absl::NotFoundError(
        absl::StrCat(id.value, ": there is no revision ", Name(to), " (kept are: ", kept(), ")"));
  }
  if (to == app.revision && app.rollout.done) {
    return absl::FailedPreconditionError(
        absl::StrCat(id.value, ": ", Name(to), " is what runs already"));
  }
  PANDO_RETURN_IF_ERROR(CheckRoutesOf(id, found->second.config));
  const uint32_t old = app.revision;
  if (old != to) SetResult(*entry, old, ReleaseResult::kUndone, absl::StrCat("to ", Name(to)));
  app.revision = to;
  app.generation += 1;
  BeginRollout(*entry, 0, /*direct=*/true);
  AddEvent("undone", id, "", {}, absl::StrCat("revision ", old, " -> ", to));
  return Outcome(*entry, app.replicas);
}

absl::StatusOr<ChangeOutcome> Cluster::Core::SetPaused(const AppId& id, bool paused) {
  PANDO_ASSIGN_OR_RETURN(AppEntry * entry, FindChangeable(id));
  App& app = entry->app;
  if (app.rollout.done) return NoRollout(id);
  if (app.rollout.paused != paused) {
    app.rollout.paused = paused;
    app.generation += 1;
    touched_apps_.insert(id);
    dirty_.insert(id);
    AddEvent(paused ? "paused" : "resumed", id, "", {}, absl::StrCat("revision ", app.revision));
  }
  return Outcome(*entry, app.replicas);
}

absl::StatusOr<ChangeOutcome> Cluster::Core::Promote(const AppId& id, bool all) {
  PANDO_ASSIGN_OR_RETURN(AppEntry * entry, FindChangeable(id));
  App& app = entry->app;
  if (app.rollout.done) return NoRollout(id);
  if (!CurrentStep(StrategyOf(*entry), app.rollout, WantedReplicas(app))) {
    return absl::FailedPreconditionError(
        absl::StrCat(id.value, ": all steps of ", Name(app.revision), " are over already"));
  }
  app.generation += 1;
  app.rollout.paused = false;
  AddEvent("promoted", id, "", {}, absl::StrCat("revision ", app.revision));
  if (all) app.rollout.step = kAllSteps - 1;
  NextStep(*entry);
  dirty_.insert(id);
  return Outcome(*entry, app.replicas);
}

}  // namespace pando::controller
