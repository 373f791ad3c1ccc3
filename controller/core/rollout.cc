#include "controller/core/rollout.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace pando::controller {
namespace {

// Waiting for something that has no deadline: an operator, or the end of a step.
bool WaitsOnPurpose(const Rollout& rollout, const RolloutView& view, bool step_reached) {
  return rollout.paused || view.suspended || step_reached;
}

std::string Seconds(Millis time) { return absl::StrCat(time.count() / 1000, " s"); }

}  // namespace

std::optional<RolloutStep> CurrentStep(const Strategy& strategy, const Rollout& rollout,
                                       uint32_t replicas) {
  if (rollout.done || rollout.step == kAllSteps) return std::nullopt;
  const std::vector<RolloutStep> steps = StepsOf(strategy, replicas);
  if (rollout.step >= steps.size()) return std::nullopt;
  return steps[rollout.step];
}

std::string WhatIsMissing(const RolloutView& view, uint32_t wanted) {
  if (view.proven >= wanted && !view.blind.empty()) return view.blind;
  return absl::StrCat(view.proven, " of ", wanted, " new instances are in rotation");
}

RolloutVerdict JudgeRollout(const Strategy& strategy, const Rollout& rollout,
                            const RolloutView& view, Instant now, RolloutClock& clock) {
  if (rollout.done) return {};
  if (!view.crash.empty()) return {RolloutMove::kFail, view.crash, {}};
  if (view.evidence) return {RolloutMove::kFail, *view.evidence, {}};

  const std::optional<RolloutStep> step = CurrentStep(strategy, rollout, view.replicas);
  // What nobody watches proves nothing.
  const bool step_reached = step && view.proven >= step->slots && view.blind.empty();
  const bool waits = WaitsOnPurpose(rollout, view, step_reached);
  if (view.proven > clock.best || !clock.progress_at || waits || clock.waited) {
    clock.best = std::max(clock.best, view.proven);
    clock.progress_at = now;
  }
  clock.waited = waits;
  if (step_reached) {
    if (!clock.step_since) clock.step_since = now;
  } else {
    clock.step_since.reset();
  }
  if (view.suspended || rollout.paused) return {};

  if (step && clock.step_since) {
    if (step->manual) return {};
    const Instant over = *clock.step_since + step->dwell;
    if (now >= over) return {RolloutMove::kNextStep, "", {}};
    return {RolloutMove::kWait, "", over};
  }
  if (!step && view.proven >= view.replicas && !view.older_left) {
    return {RolloutMove::kComplete, "", {}};
  }
  const Instant deadline = *clock.progress_at + strategy.progress_deadline;
  if (now < deadline) return {RolloutMove::kWait, "", deadline};
  return {RolloutMove::kFail,
          absl::StrCat("no progress within ", Seconds(strategy.progress_deadline), ": ",
                       WhatIsMissing(view, step ? step->slots : view.replicas)),
          {}};
}

}  // namespace pando::controller
