#include "controller/core/strategy.h"

#include <algorithm>

namespace pando::controller {
namespace {

uint32_t RoundedUp(uint32_t percent, uint32_t replicas) {
  return static_cast<uint32_t>((uint64_t{replicas} * percent + 99) / 100);
}

}  // namespace

RolloutLimits LimitsOf(const Strategy& strategy, uint32_t replicas) {
  const Amount& surge = strategy.max_surge;
  const Amount& unavailable = strategy.max_unavailable;
  RolloutLimits limits;
  limits.surge = surge.percent ? RoundedUp(surge.value, replicas) : surge.value;
  limits.unavailable = unavailable.value;
  if (unavailable.percent) {
    limits.unavailable = static_cast<uint32_t>(uint64_t{replicas} * unavailable.value / 100);
  }
  if (strategy.blue_green) limits.surge = std::max(limits.surge, replicas);
  if (limits.surge == 0 && limits.unavailable == 0) {
    // 25 % of 0 replicas, or a share that rounds to nothing: at least one has to move.
    (surge.value > 0 ? limits.surge : limits.unavailable) = 1;
  }
  return limits;
}

std::vector<RolloutStep> StepsOf(const Strategy& strategy, uint32_t replicas) {
  std::vector<RolloutStep> steps;
  if (replicas == 0) return steps;
  for (const uint32_t percent : strategy.canary_steps) {
    steps.push_back({.slots = std::max(1u, RoundedUp(percent, replicas)),
                     .traffic = percent,
                     .dwell = strategy.canary_interval,
                     .manual = strategy.manual_gate});
  }
  if (strategy.blue_green) {
    steps.push_back({.slots = replicas, .traffic = 0, .manual = strategy.manual_gate});
    steps.push_back({.slots = replicas, .traffic = 100, .dwell = strategy.observe});
  }
  if (!steps.empty()) return steps;
  const uint32_t surge = LimitsOf(strategy, replicas).surge;
  // Without surge there is nothing to compare with: the first one replaces an old one at once.
  if (surge > 0 && strategy.observe > Millis{0}) {
    steps.push_back({.slots = std::min(surge, replicas), .dwell = strategy.observe});
  }
  return steps;
}

}  // namespace pando::controller
