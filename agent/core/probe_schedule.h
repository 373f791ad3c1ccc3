// The probes of one incarnation: the start-up probe until it passes, then readiness and liveness in
// turn, one at a time. Pure: time and randomness are arguments.
#pragma once

#include <optional>

#include "agent/core/assignment.h"
#include "agent/core/probe_state.h"
#include "common/base/time.h"

namespace pando::agent {

enum class ProbeRole { kStartup, kReadiness, kLiveness };

class ProbeSchedule {
 public:
  // `was_ready`: of an instance that is taken over, whose start is done. `unit_random` in [0, 1).
  ProbeSchedule(const Assignment& assignment, bool was_ready, Instant now, double unit_random);

  // When the next probe has to be sent; nothing while one is under way: they never pile up, however
  // many there are and however long they take.
  std::optional<Instant> due() const;
  // The one that is due is sent.
  ProbeRole Sent();

  struct Outcome {
    ProbeRole role;
    ProbeState::Change change;
  };
  // Of the probe sent last.
  Outcome OnResult(bool passed, Instant now, double unit_random);
  // It could not be sent after all: another one follows after the interval, nothing is counted.
  void OnNotAsked(Instant now, double unit_random);

 private:
  std::optional<ProbeState>& StateOf(ProbeRole role);
  void BeginLiveness(Instant now, double unit_random);

  ProbePolicy readiness_policy_;
  std::optional<ProbePolicy> liveness_policy_;
  std::optional<ProbeState> startup_;  // until it passed
  std::optional<ProbeState> readiness_;
  std::optional<ProbeState> liveness_;
  std::optional<ProbeRole> under_way_;
};

// The policy of a role; the assignment has one for it.
const ProbePolicy& PolicyOf(const Assignment& assignment, ProbeRole role);

}  // namespace pando::agent
