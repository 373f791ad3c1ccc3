// Where a release stands on its way, and when it goes on, is complete or has failed. Pure.
//
//   step 0 -> step 1 -> ... -> the rest within the limits -> complete
//
// Each step starts some new instances beside the old ones and lets them prove themselves. What is
// durable is `Rollout`, the evidence too; the clock starts anew with a controller: a step lasts its
// whole time under the eyes of one.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "controller/core/evidence.h"
#include "controller/core/strategy.h"

namespace pando::controller {

inline constexpr uint32_t kAllSteps = UINT32_MAX;

// Of an app's newest release. Durable.
struct Rollout {
  uint32_t from = 0;  // the release it replaces, to which a rollback returns; 0: there is none
  bool done = true;
  uint32_t step = kAllSteps;  // index into StepsOf; beyond the last: all steps are over
  bool paused = false;
  uint32_t failed = 0;  // the release that was rolled back by itself, until there is another one
  std::string failure = {};  // why
  // What proxies saw by revision, or nearly: see IsMuchMore.
  std::map<uint32_t, Load> loads = {};

  bool operator==(const Rollout&) const = default;
};

// What there is now.
struct RolloutView {
  uint32_t replicas = 0;
  uint32_t proven = 0;      // slots whose new instance is available and was for min_ready
  bool older_left = false;  // instances of other releases that are not draining yet
  bool suspended = false;   // frozen, or not everything is in sight: no time passes
  std::string crash = {};   // why new instances fail; empty when they do not
  std::string blind = {};   // who does not tell what the new instances answer; empty: all do
  std::optional<std::string> evidence = {};  // what the proxies hold against the new release
};

// Soft. Times are of the controller that watches.
struct RolloutClock {
  std::optional<Instant> progress_at;
  uint32_t best = 0;                  // slots proven so far
  bool waited = false;                // when last looked at, for something without a deadline
  std::optional<Instant> step_since;  // all instances of the step are proven, and watched
};

enum class RolloutMove { kWait, kNextStep, kComplete, kFail };

struct RolloutVerdict {
  RolloutMove move = RolloutMove::kWait;
  std::string reason;                 // kFail: why
  std::optional<Instant> look_again;  // kWait: something is due by itself then
};

// The step the rollout is in; nullopt when all are over.
std::optional<RolloutStep> CurrentStep(const Strategy& strategy, const Rollout& rollout,
                                       uint32_t replicas);

// "1 of 4 new instances are in rotation", or who does not tell what they answer.
std::string WhatIsMissing(const RolloutView& view, uint32_t wanted);

RolloutVerdict JudgeRollout(const Strategy& strategy, const Rollout& rollout,
                            const RolloutView& view, Instant now, RolloutClock& clock);

}  // namespace pando::controller
