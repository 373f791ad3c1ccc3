#include "agent/core/probe_schedule.h"

#include <cstdlib>

namespace pando::agent {

ProbeSchedule::ProbeSchedule(const Assignment& assignment, bool was_ready, Instant now,
                             double unit_random)
    : readiness_policy_(assignment.probe), liveness_policy_(assignment.liveness_probe) {
  if (was_ready) {
    readiness_.emplace(ProbeState::Steady(readiness_policy_, now, unit_random));
    BeginLiveness(now, unit_random);
  } else if (assignment.startup_probe) {
    startup_.emplace(ProbeState::Starting(*assignment.startup_probe, now));
  } else {
    readiness_.emplace(ProbeState::Starting(readiness_policy_, now));
  }
}

std::optional<ProbeState>& ProbeSchedule::StateOf(ProbeRole role) {
  switch (role) {
    case ProbeRole::kStartup:
      return startup_;
    case ProbeRole::kReadiness:
      return readiness_;
    case ProbeRole::kLiveness:
      return liveness_;
  }
  std::abort();  // not an enumerator
}

std::optional<Instant> ProbeSchedule::due() const {
  if (under_way_) return std::nullopt;
  std::optional<Instant> first;
  for (const auto* state : {&startup_, &readiness_, &liveness_}) {
    if (*state && (!first || (*state)->due() < *first)) first = (*state)->due();
  }
  return first;
}

ProbeRole ProbeSchedule::Sent() {
  const std::optional<Instant> first = due();
  for (const ProbeRole role : {ProbeRole::kStartup, ProbeRole::kReadiness, ProbeRole::kLiveness}) {
    const std::optional<ProbeState>& state = StateOf(role);
    if (!state || state->due() != first) continue;
    under_way_ = role;
    return role;
  }
  std::abort();  // nothing is due: the caller has not asked
}

ProbeSchedule::Outcome ProbeSchedule::OnResult(bool passed, Instant now, double unit_random) {
  if (!under_way_) return {ProbeRole::kReadiness, ProbeState::Change::kNone};
  const ProbeRole role = *under_way_;
  under_way_.reset();
  const ProbeState::Change change = StateOf(role)->OnResult(passed, now, unit_random);
  if (change == ProbeState::Change::kPassed && role == ProbeRole::kStartup) {
    startup_.reset();
    readiness_.emplace(ProbeState::Starting(readiness_policy_, now));
    BeginLiveness(now, unit_random);
  } else if (change == ProbeState::Change::kPassed && role == ProbeRole::kReadiness) {
    // Without a start-up probe a slow start must not look like a hang.
    BeginLiveness(now, unit_random);
  }
  return {role, change};
}

void ProbeSchedule::OnNotAsked(Instant now, double unit_random) {
  if (under_way_) StateOf(*under_way_)->Postpone(now, unit_random);
  under_way_.reset();
}

void ProbeSchedule::BeginLiveness(Instant now, double unit_random) {
  if (!liveness_policy_ || liveness_) return;
  liveness_.emplace(ProbeState::Steady(*liveness_policy_, now, unit_random));
}

const ProbePolicy& PolicyOf(const Assignment& assignment, ProbeRole role) {
  switch (role) {
    case ProbeRole::kStartup:
      return *assignment.startup_probe;
    case ProbeRole::kReadiness:
      return assignment.probe;
    case ProbeRole::kLiveness:
      return *assignment.liveness_probe;
  }
  std::abort();  // not an enumerator
}

}  // namespace pando::agent
