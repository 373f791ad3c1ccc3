// Why an instance, an app or a node is as it is, in sentences.
#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "controller/core/cluster_core.h"
#include "controller/core/crash_loop.h"
#include "controller/core/upstream_table.h"

namespace pando::controller {
namespace {

constexpr size_t kAllNodes = 1'000;

struct SlotName {
  AppId app;
  uint32_t slot = 0;
};

// "web.3"
std::optional<SlotName> ParseSlot(const std::string& target) {
  const size_t dot = target.rfind('.');
  SlotName name;
  if (dot == std::string::npos || !absl::SimpleAtoi(target.substr(dot + 1), &name.slot)) {
    return std::nullopt;
  }
  name.app = AppId{target.substr(0, dot)};
  return name;
}

std::string Seconds(Instant::duration time) {
  const auto tenths = std::max<int64_t>(0, std::chrono::duration_cast<Millis>(time).count() / 100);
  return absl::StrCat(tenths / 10, ".", tenths % 10, " s");
}

std::string WithDetail(const std::string& text, const std::string& detail) {
  return detail.empty() ? text : absl::StrCat(text, ": ", detail);
}

}  // namespace

absl::StatusOr<Explanation> Cluster::Core::Why(const std::string& target, Instant now) {
  UpdateIndex();
  if (const auto node = nodes_.find(NodeId{target}); node != nodes_.end()) {
    return WhyNode(node->second, now);
  }
  Explanation explanation;
  if (AppEntry* const entry = FindApp(AppId{target})) {
    if (std::string line = WhyRollout(*entry, now); !line.empty()) {
      explanation.lines.push_back(std::move(line));
    }
    for (uint32_t slot = 1; slot <= WantedReplicas(entry->app); ++slot) {
      for (std::string& line : WhySlot(*entry, slot, now, explanation)) {
        explanation.lines.push_back(std::move(line));
      }
    }
    if (explanation.lines.empty()) explanation.lines.push_back("no instance is wanted");
    return explanation;
  }
  const std::optional<SlotName> name = ParseSlot(target);
  AppEntry* const entry = name ? FindApp(name->app) : nullptr;
  if (entry == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("no app, instance or node is named ", target, " (an instance is app.number)"));
  }
  explanation.lines = WhySlot(*entry, name->slot, now, explanation);
  if (explanation.lines.empty()) {
    const uint32_t wanted = WantedReplicas(entry->app);
    return absl::NotFoundError(absl::StrCat("there is no ", target, ": ", name->app.value, " has ",
                                            wanted, " instances",
                                            entry->app.stopped ? " (it is stopped)" : ""));
  }
  return explanation;
}

std::vector<std::string> Cluster::Core::WhySlot(AppEntry& entry, uint32_t slot, Instant now,
                                                Explanation& explanation) {
  const std::string name = InstanceName(entry.app.id, slot);
  std::vector<std::string> lines;
  bool filled = false;
  for (const auto& [id, item] : entry.assignments) {
    const Assignment& a = item.assignment;
    if (a.slot != slot) continue;
    filled |= a.wish == Wish::kRun && a.revision == entry.app.revision && !IsLeaving(item) &&
              NodeOf(item).state != NodeState::kLost;
    lines.push_back(absl::StrCat(name, " r", a.revision, " on ", a.node.value, ": ",
                                 WhyAssignment(entry, item, now)));
    const bool fails =
        item.report &&
        (item.report->failed_starts > 0 || item.report->phase == Phase::kBackoff ||
         item.report->phase == Phase::kFailed || item.report->phase == Phase::kUnhealthy);
    if (fails) explanation.logs_of.push_back(name);
  }
  if (slot >= 1 && slot <= WantedReplicas(entry.app) && !filled) {
    lines.push_back(
        absl::StrCat(name, " r", entry.app.revision, " pending: ", WhyNoPlace(entry, slot)));
  }
  return lines;
}

std::string Cluster::Core::WhyRollout(const AppEntry& entry, Instant now) const {
  const App& app = entry.app;
  const Rollout& rollout = app.rollout;
  if (rollout.failed != 0) {
    return absl::StrCat(app.id.value, ": r", rollout.failed, " was rolled back to r", app.revision,
                        ": ", rollout.failure);
  }
  if (rollout.done || rollout.from == 0) return "";
  const RolloutView view = ToRolloutView(entry, now);
  const auto step = CurrentStep(StrategyOf(entry), rollout, view.replicas);
  std::string line = absl::StrCat(app.id.value, ": r", app.revision, " replaces r", rollout.from);
  if (step) absl::StrAppend(&line, ", step ", StepText(entry));
  const uint32_t wanted = step ? step->slots : view.replicas;
  if (rollout.paused)
    return absl::StrCat(line, ": paused, until ctl rollout resume ", app.id.value);
  if (view.suspended)
    return absl::StrCat(line, ": rests while the app is stopped or all is frozen");
  if (view.proven < wanted || !view.blind.empty()) {
    return absl::StrCat(line, ": ", WhatIsMissing(view, wanted));
  }
  if (!step) return absl::StrCat(line, ": all are in rotation, older ones are left");
  if (step->manual) return absl::StrCat(line, ": until ctl rollout promote ", app.id.value);
  const Instant over = entry.clock.step_since.value_or(now) + step->dwell;
  return absl::StrCat(line, ": ", Seconds(over - now), " more");
}

std::string Cluster::Core::StepText(const AppEntry& entry) const {
  const size_t steps = StepsOf(StrategyOf(entry), WantedReplicas(entry.app)).size();
  return absl::StrCat(entry.app.rollout.step + 1, " of ", steps);
}

std::string Cluster::Core::WhyNoPlace(AppEntry& entry, uint32_t slot) {
  if (IsHeld(entry)) return "the controller waits for nodes that run the app to report";
  const Rollout& rollout = entry.app.rollout;
  if (!rollout.done && rollout.paused) return "waits: the rollout is paused";
  const auto step = CurrentStep(StrategyOf(entry), rollout, WantedReplicas(entry.app));
  if (step && slot > step->slots)
    return absl::StrCat("waits until step ", StepText(entry), " is over");
  Placer placer = PlacerFor(entry, entry.app.revision);
  if (placer.Choose() != nullptr) return "waits its turn: only a few are replaced at a time";
  return placer.WhyNothingFits(kAllNodes);
}

std::string Cluster::Core::WhyAssignment(const AppEntry& entry, const AssignmentEntry& item,
                                         Instant now) {
  const NodeEntry& node = NodeOf(item);
  if (node.state == NodeState::kLost) return "its node is lost";
  switch (item.assignment.wish) {
    case Wish::kDrain:
      return WhyDraining(entry, item, now);
    case Wish::kStop:
      return "stopping: told to end, it still runs";
    case Wish::kRun:
      break;
  }
  const std::string moves = !IsLeaving(item)       ? ""
                            : node.record.draining ? "; moves: its node is draining"
                                                   : "; moves to a node with fewer";
  if (node.state == NodeState::kSuspect) {
    return absl::StrCat("suspect: its node is silent for ", Seconds(now - node.last_heard),
                        frozen_ ? ", and the cluster is frozen" : "", moves);
  }
  if (!item.report) {
    return absl::StrCat(node.connected ? "assigned: its agent has not started it yet"
                                       : "assigned: its node is not connected",
                        moves);
  }
  const InstanceReport& report = *item.report;
  if (IsCrashLoop(report)) {
    return absl::StrCat("crash loop: ", DescribeCrash(report), "; started ", report.restarts + 1,
                        " times, is tried again and again", moves);
  }
  switch (report.phase) {
    case Phase::kStarting:
      return WithDetail("starting: its probe has not passed yet", report.detail) + moves;
    case Phase::kReady:
      return WithDetail(WhyNotInRotation(entry, item), report.detail) + moves;
    case Phase::kUnhealthy:
      return WithDetail("unhealthy, out of rotation until its probe passes", report.detail) + moves;
    case Phase::kBackoff:
      return absl::StrCat(WithDetail("backoff", DescribeCrash(report)), "; started ",
                          report.restarts + 1, " times, starts again soon", moves);
    case Phase::kStopping:
      return "stopping: the agent ends it";
    case Phase::kFailed:
      return WithDetail("failed: it cannot be started", report.detail) + moves;
    case Phase::kPreparing:
      return WithDetail("preparing: its code is brought to the node", report.detail) + moves;
  }
  return "";
}

std::string Cluster::Core::WhyNotInRotation(const AppEntry& entry, const AssignmentEntry& item) {
  if (IsAvailable(item, AckedByAll(entry.app.id))) {
    return absl::StrCat("in rotation, acknowledged by ", proxies_.size(), " proxies");
  }
  std::vector<std::string> behind;
  for (const auto& [id, proxy] : proxies_) {
    const auto acked = proxy.acked.find(entry.app.id);
    if (acked == proxy.acked.end() || acked->second < item.healthy_since) {
      behind.push_back(absl::StrCat(id.value, proxy.connected ? "" : " (disconnected)"));
    }
  }
  if (behind.empty()) return "ready, to be published";
  return absl::StrCat("ready, waits for ", absl::StrJoin(behind, ", "),
                      " to acknowledge a table with it");
}

std::string Cluster::Core::WhyDraining(const AppEntry& entry, const AssignmentEntry& item,
                                       Instant now) {
  const DrainInput input = ToDrainInput(entry, item);
  const DrainVerdict verdict = JudgeDrain(input, DrainProxies(entry, item), now);
  if (verdict.holders.empty()) return "draining: finished";
  const bool tunnels = std::any_of(item.in_flight.begin(), item.in_flight.end(),
                                   [](const auto& said) { return said.second.tunnels > 0; });
  return absl::StrCat("draining: waits for ", DescribeHolders(item, verdict.holders), ", at most ",
                      Seconds((tunnels ? input.tunnel_deadline : input.deadline) - now), " more");
}

Explanation Cluster::Core::WhyNode(const NodeEntry& node, Instant now) {
  Explanation explanation;
  const std::string& name = node.record.id.value;
  const PlacementNode* const known = index_.Find(node.record.id);
  std::string line = absl::StrCat(name, " has ", node.used.instances, " instances, ");
  if (known == nullptr || known->closed.empty()) {
    absl::StrAppend(&line, "takes more");
  } else {
    absl::StrAppend(&line, "takes no more: it ", known->closed);
  }
  if (node.heard) absl::StrAppend(&line, "; heard ", Seconds(now - node.last_heard), " ago");
  explanation.lines.push_back(std::move(line));
  if (!node.record.draining) return explanation;
  std::set<std::pair<AppId, uint32_t>> slots;
  for (const AssignmentId& id : node.assignments) {
    const AppEntry& entry = apps_.at(app_of_.at(id));
    slots.insert({entry.app.id, entry.assignments.at(id).assignment.slot});
  }
  for (const auto& [app, slot] : slots) {
    for (std::string& why : WhySlot(apps_.at(app), slot, now, explanation)) {
      explanation.lines.push_back(std::move(why));
    }
  }
  return explanation;
}

}  // namespace pando::controller
