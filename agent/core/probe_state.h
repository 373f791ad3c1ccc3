// When to send a probe, and what its results mean. Pure: time and randomness are arguments.
#pragma once

#include "agent/core/assignment.h"
#include "common/base/time.h"

namespace pando::agent {

class ProbeState {
 public:
  // Of what has just started: probes come quickly at first, so that a server that listens is seen
  // within about 50 ms, and failures mean nothing until the first success.
  static ProbeState Starting(const ProbePolicy& policy, Instant now);
  // Of what runs: the first probe comes at any time within the interval, so that the probes of many
  // instances do not come together. `unit_random` in [0, 1).
  static ProbeState Steady(const ProbePolicy& policy, Instant now, double unit_random);

  // When the next probe has to be sent.
  Instant due() const { return due_; }

  enum class Change { kNone, kPassed, kFailed };
  // kPassed and kFailed when their threshold is reached just now; `unit_random` spreads the probes
  // over the interval.
  Change OnResult(bool passed, Instant now, double unit_random);
  // The next one comes after the interval, whatever came of this one.
  void Postpone(Instant now, double unit_random);

 private:
  ProbeState(const ProbePolicy& policy, bool starting, Instant due);

  Millis interval_;
  int healthy_threshold_;
  int unhealthy_threshold_;
  Millis quick_left_;  // how much longer pauses stay short while starting
  Millis quick_;       // the next pause while starting
  bool starting_;
  Instant due_;
  int passed_in_a_row_ = 0;
  int failed_in_a_row_ = 0;
};

}  // namespace pando::agent
