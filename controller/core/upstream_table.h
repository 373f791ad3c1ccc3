// Assignments and what agents say of them -> the endpoints proxies balance over. Pure.
#pragma once

#include <vector>

#include "controller/core/model.h"

namespace pando::controller {

struct EndpointCandidate {
  Endpoint endpoint;  // `health` is decided here
  Wish wish = Wish::kRun;
  Phase phase = Phase::kStarting;
  bool was_ready = true;  // has been in a table once
  bool node_suspect = false;
};

bool HasProcess(Phase phase);

// May new requests be sent to it?
inline bool IsPickable(const Endpoint& endpoint) { return endpoint.health != Health::kDraining; }

// Sorted by instance name, then assignment. When nothing would be healthy, what is unhealthy or
// suspect is published as healthy: an overloaded app whose probes time out everywhere, or a lost
// sight of its nodes, must not turn into refusals.
std::vector<Endpoint> BuildEndpoints(std::vector<EndpointCandidate> candidates);

}  // namespace pando::controller
