#include "proxy/core/round_robin.h"

namespace pando::proxy {

RoundRobin::RoundRobin(const Cluster& cluster, uint64_t start)
    : cluster_(cluster), next_(start), behind_(cluster.endpoints.size(), 0) {
  for (const Endpoint& endpoint : cluster.endpoints) {
    if (endpoint.weight != cluster.endpoints.front().weight) equal_weights_ = false;
  }
}

uint32_t RoundRobin::Choose(std::span<const uint32_t> candidates) {
  if (equal_weights_) return candidates[next_++ % candidates.size()];
  int64_t total = 0;
  uint32_t best = candidates.front();
  for (uint32_t index : candidates) {
    const int64_t weight = cluster_.endpoints[index].weight;
    behind_[index] += weight;
    total += weight;
    if (behind_[index] > behind_[best]) best = index;
  }
  behind_[best] -= total;
  return best;
}

}  // namespace pando::proxy
