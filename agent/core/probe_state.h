// When to probe an instance, and what the results mean. Pure: time and randomness are arguments.
#pragma once

#include <optional>

#include "agent/core/assignment.h"
#include "common/base/time.h"

namespace pando::agent {

class ProbeState {
 public:
  // `starting`: probes come quickly at first, so that a server that listens is seen within about
  // 50 ms. Otherwise (an adopted instance) the first probe comes at once, the rest by interval.
  ProbeState(const ProbePolicy& policy, bool starting, Instant now);

  // When the next probe has to be sent; nothing while one is under way: they never pile up.
  std::optional<Instant> due() const;
  void Sent();

  enum class Change { kNone, kPassed, kFailed };
  // The result of the probe sent last. kPassed and kFailed when its threshold is reached just now;
  // `unit_random` in [0, 1) spreads the probes of many instances over the interval.
  Change OnResult(bool passed, Instant now, double unit_random);

 private:
  Millis interval_;
  int healthy_threshold_;
  int unhealthy_threshold_;
  Millis quick_left_;  // how much longer pauses stay short while starting
  Millis quick_;       // the next pause while starting
  bool starting_;
  bool under_way_ = false;
  Instant due_;
  int passed_in_a_row_ = 0;
  int failed_in_a_row_ = 0;
};

}  // namespace pando::agent
