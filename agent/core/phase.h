// What an instance is doing, and the only place that changes it.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"

namespace pando::agent {

// As InstanceStatus.Phase in agent.proto.
enum class Phase { kStarting, kReady, kUnhealthy, kBackoff, kStopping, kFailed, kPreparing };

enum class Event {
  kSpawn,        // the wait is over, it is started again
  kProbePassed,  // as often as its threshold asks
  kProbeFailed,  // as often as its threshold asks
  kStop,         // told to stop
  kExited,       // the process ended
  kCannotStart,  // there was no process
  kPrepare,      // it is being started, and what it runs has to be brought here first
};

// A stale event leaves the phase as it is.
Phase Next(Phase phase, Event event);

// "starting", "ready", ...: the words of the instance's state file, metrics and logs.
absl::string_view PhaseName(Phase phase);
std::optional<Phase> ParsePhase(absl::string_view name);

}  // namespace pando::agent
