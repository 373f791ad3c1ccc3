#include "agent/core/phase.h"

#include <cstdlib>

namespace pando::agent {
namespace {

bool HasProcess(Phase phase) {
  return phase == Phase::kStarting || phase == Phase::kReady || phase == Phase::kUnhealthy ||
         phase == Phase::kStopping;
}

}  // namespace

Phase Next(Phase phase, Event event) {
  switch (event) {
    case Event::kSpawn:
      return HasProcess(phase) ? phase : Phase::kStarting;
    case Event::kProbePassed:
      return phase == Phase::kStarting || phase == Phase::kUnhealthy ? Phase::kReady : phase;
    case Event::kProbeFailed:
      return phase == Phase::kReady ? Phase::kUnhealthy : phase;
    case Event::kStop:
      return HasProcess(phase) ? Phase::kStopping : phase;
    case Event::kExited:
      return HasProcess(phase) || phase == Phase::kPreparing ? Phase::kBackoff : phase;
    case Event::kCannotStart:
      return HasProcess(phase) || phase == Phase::kPreparing ? Phase::kFailed : phase;
    case Event::kPrepare:
      return phase == Phase::kStarting ? Phase::kPreparing : phase;
  }
  std::abort();  // not an enumerator
}

absl::string_view PhaseName(Phase phase) {
  switch (phase) {
    case Phase::kStarting:
      return "starting";
    case Phase::kReady:
      return "ready";
    case Phase::kUnhealthy:
      return "unhealthy";
    case Phase::kBackoff:
      return "backoff";
    case Phase::kStopping:
      return "stopping";
    case Phase::kFailed:
      return "failed";
    case Phase::kPreparing:
      return "preparing";
  }
  std::abort();  // not an enumerator
}

std::optional<Phase> ParsePhase(absl::string_view name) {
  for (Phase phase : {Phase::kStarting, Phase::kReady, Phase::kUnhealthy, Phase::kBackoff,
                      Phase::kStopping, Phase::kFailed, Phase::kPreparing}) {
    if (PhaseName(phase) == name) return phase;
  }
  return std::nullopt;
}

}  // namespace pando::agent
