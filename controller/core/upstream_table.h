// Assignments and what agents say of them -> what proxies may do with them. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "controller/core/model.h"

namespace pando::controller {

struct EndpointState {
  uint16_t port = 0;
  Wish wish = Wish::kRun;
  Phase phase = Phase::kStarting;
  bool was_ready = true;  // has been in a table once
  bool node_suspect = false;
};

bool HasProcess(Phase phase);

// May new requests be sent to it?
inline bool IsPickable(const Endpoint& endpoint) { return endpoint.health != Health::kDraining; }

// As what each is published; nullopt: not at all. When nothing would be healthy, what is unhealthy
// or suspect is published as healthy: an overloaded app whose probes time out everywhere, or a lost
// sight of its nodes, must not turn into refusals.
std::vector<std::optional<Health>> HealthsOf(const std::vector<EndpointState>& states);

// By instance name, then assignment.
void SortEndpoints(std::vector<Endpoint>& endpoints);

}  // namespace pando::controller
