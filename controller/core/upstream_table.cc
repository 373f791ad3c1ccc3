#include "controller/core/upstream_table.h"

#include <algorithm>
#include <optional>
#include <tuple>

namespace pando::controller {
namespace {

std::optional<Health> HealthOf(const EndpointCandidate& candidate) {
  if (candidate.endpoint.port == 0) return std::nullopt;
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

bool ServesInPanic(const EndpointCandidate& candidate) {
  return candidate.endpoint.port != 0 && candidate.wish == Wish::kRun &&
         (candidate.phase == Phase::kReady || candidate.phase == Phase::kUnhealthy);
}

}  // namespace

bool HasProcess(Phase phase) { return phase != Phase::kBackoff && phase != Phase::kFailed; }

std::vector<Endpoint> BuildEndpoints(std::vector<EndpointCandidate> candidates) {
  const bool panic =
      std::none_of(candidates.begin(), candidates.end(),
                   [](const EndpointCandidate& c) { return HealthOf(c) == Health::kHealthy; });
  std::vector<Endpoint> endpoints;
  endpoints.reserve(candidates.size());
  for (EndpointCandidate& candidate : candidates) {
    std::optional<Health> health = HealthOf(candidate);
    if (panic && ServesInPanic(candidate)) health = Health::kHealthy;
    if (!health) continue;
    candidate.endpoint.health = *health;
    endpoints.push_back(std::move(candidate.endpoint));
  }
  std::sort(endpoints.begin(), endpoints.end(), [](const Endpoint& a, const Endpoint& b) {
    return std::tie(a.instance, a.assignment) < std::tie(b.instance, b.assignment);
  });
  return endpoints;
}

}  // namespace pando::controller
