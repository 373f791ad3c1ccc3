#include "proxy/core/round_robin.h"

namespace pando::proxy {

RoundRobin::RoundRobin(const PolicyView& view, uint64_t start)
    : view_(view), next_(start), behind_(view.cluster.endpoints.size(), 0) {
  if (view.cluster.slow_start > Millis{0}) equal_weights_ = false;
  for (const float weight : view.weights) {
    if (weight != view.weights.front()) equal_weights_ = false;
  }
}

uint32_t RoundRobin::Choose(std::span<const uint32_t> candidates, const PolicyRequest&) {
  if (equal_weights_) return candidates[next_++ % candidates.size()];
  double total = 0;
  uint32_t best = candidates.front();
  for (const uint32_t index : candidates) {
    const double weight = view_.weights[index];
    behind_[index] += weight;
    total += weight;
    if (behind_[index] > behind_[best]) best = index;
  }
  behind_[best] -= total;
  return best;
}

}  // namespace pando::proxy
