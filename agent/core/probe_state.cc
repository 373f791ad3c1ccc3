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

// A random part of the time.
Millis Part(Millis time, double unit_random) {
  const double part = static_cast<double>(time.count()) * std::clamp(unit_random, 0.0, 1.0);
  return Millis{static_cast<int64_t>(part)};
}

// The next of the points in time that all instances with this interval share. Twenty of them are
// enough to spread probes, and the host is woken for each of them only, not for each instance.
Instant SharedPoint(Instant at, Millis interval) {
  const Millis pace = std::clamp(interval / 20, Millis{1}, Millis{100});
  const auto past = at.time_since_epoch() % pace;
  return past.count() == 0 ? at : at + (pace - past);
}

}  // namespace

ProbeState::ProbeState(const ProbePolicy& policy, bool starting, Instant due)
    : interval_(std::max(policy.interval, Millis{1})),
      healthy_threshold_(std::max(policy.healthy_threshold, 1)),
      unhealthy_threshold_(std::max(policy.unhealthy_threshold, 1)),
      quick_left_(kQuickFor),
      quick_(kFirstPause),
      starting_(starting),
      due_(due) {}

ProbeState ProbeState::Starting(const ProbePolicy& policy, Instant now) {
  return {policy, /*starting=*/true, now + kFirstPause};
}

ProbeState ProbeState::Steady(const ProbePolicy& policy, Instant now, double unit_random) {
  return {policy, /*starting=*/false,
          SharedPoint(now + Part(policy.interval, unit_random), policy.interval)};
}

ProbeState::Change ProbeState::OnResult(bool passed, Instant now, double unit_random) {
  passed_in_a_row_ = passed ? passed_in_a_row_ + 1 : 0;
  failed_in_a_row_ = passed ? 0 : failed_in_a_row_ + 1;
  const bool was_starting = starting_;
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
  } else if (was_starting) {
    // Instances that were started together are probed apart from here on.
    due_ = SharedPoint(now + Part(interval_, unit_random), interval_);
  } else {
    Postpone(now, unit_random);
  }
  return change;
}

void ProbeState::Postpone(Instant now, double unit_random) {
  // 90-110 % of the interval.
  due_ = SharedPoint(now + interval_ * 9 / 10 + Part(interval_ / 5, unit_random), interval_);
}

}  // namespace pando::agent
