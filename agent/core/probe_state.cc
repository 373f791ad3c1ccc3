#include "agent/core/probe_state.h"

#include <algorithm>

namespace pando::agent {
namespace {

constexpr Millis kFirstPause{10};
constexpr Millis kLongestQuickPause{50};
constexpr Millis kQuickFor{5'000};  // of pauses; later they grow up to the interval

Millis GrowPause(Millis pause, Millis interval, Millis& quick_left) {
  quick_left -= pause;
  const Millis ceiling = quick_left > Millis{0} ? kLongestQuickPause : interval;
  return std::min({pause * 3 / 2 + Millis{1}, ceiling, interval});
}

}  // namespace

ProbeState::ProbeState(const ProbePolicy& policy, bool starting, Instant now)
    : interval_(std::max(policy.interval, Millis{1})),
      healthy_threshold_(std::max(policy.healthy_threshold, 1)),
      unhealthy_threshold_(std::max(policy.unhealthy_threshold, 1)),
      quick_left_(kQuickFor),
      quick_(kFirstPause),
      starting_(starting),
      due_(starting ? now + kFirstPause : now) {}

std::optional<Instant> ProbeState::due() const {
  if (under_way_) return std::nullopt;
  return due_;
}

void ProbeState::Sent() { under_way_ = true; }

ProbeState::Change ProbeState::OnResult(bool passed, Instant now, double unit_random) {
  under_way_ = false;
  passed_in_a_row_ = passed ? passed_in_a_row_ + 1 : 0;
  failed_in_a_row_ = passed ? 0 : failed_in_a_row_ + 1;
  Change change = Change::kNone;
  if (passed_in_a_row_ == healthy_threshold_) {
    change = Change::kPassed;
    starting_ = false;
  } else if (failed_in_a_row_ == unhealthy_threshold_ && !starting_) {
    change = Change::kFailed;
  }
  if (starting_) {
    due_ = now + quick_;
    quick_ = GrowPause(quick_, interval_, quick_left_);
  } else {
    // 90-110 % of the interval.
    due_ = now + Millis{static_cast<int64_t>(static_cast<double>(interval_.count()) *
                                             (0.9 + 0.2 * std::clamp(unit_random, 0.0, 1.0)))};
  }
  return change;
}

}  // namespace pando::agent
