#include "controller/core/upstream_table.h"

#include <algorithm>
#include <optional>
#include <tuple>

namespace pando::controller {
namespace {

std::optional<Health> HealthOf(const EndpointState& candidate) {
  if (candidate.port == 0) return std::nullopt;
  switch (candidate.wish) {
    case Wish::kRun:
      if (candidate.phase != Phase::kReady) return std::nullopt;
      return candidate.node_suspect ? Health::kSuspect : Health::kHealthy;
    case Wish::kDrain:
      // One that was started anew and is not ready yet may hold requests too: of a proxy that does
      // not know yet, when the new process listens where the old one did.
      if (!HasProcess(candidate.phase) || !candidate.was_ready) return std::nullopt;
      return Health::kDraining;
    case Wish::kStop:
      break;
  }
  return std::nullopt;
}

bool ServesInPanic(const EndpointState& candidate) {
  return candidate.port != 0 && candidate.wish == Wish::kRun &&
         (candidate.phase == Phase::kReady || candidate.phase == Phase::kUnhealthy);
}

}  // namespace

bool HasProcess(Phase phase) {
  return phase != Phase::kBackoff && phase != Phase::kFailed && phase != Phase::kPreparing;
}

std::vector<std::optional<Health>> HealthsOf(const std::vector<EndpointState>& states) {
  std::vector<std::optional<Health>> healths;
  healths.reserve(states.size());
  for (const EndpointState& state : states) healths.push_back(HealthOf(state));
  const bool panic = std::none_of(healths.begin(), healths.end(),
                                  [](const auto& health) { return health == Health::kHealthy; });
  if (!panic) return healths;
  for (size_t i = 0; i < states.size(); ++i) {
    if (ServesInPanic(states[i])) healths[i] = Health::kHealthy;
  }
  return healths;
}

void SortEndpoints(std::vector<Endpoint>& endpoints) {
  std::sort(endpoints.begin(), endpoints.end(), [](const Endpoint& a, const Endpoint& b) {
    return std::tie(a.instance, a.assignment) < std::tie(b.instance, b.assignment);
  });
}

}  // namespace pando::controller
