// Exponential backoff with jitter. Pure: the caller supplies the random number.
#pragma once

#include <algorithm>

#include "common/base/time.h"

namespace pando {

struct BackoffPolicy {
  Millis initial{100};
  Millis ceiling{30'000};
};

// Delay before attempt `attempt` (0 is the first retry); `unit_random` is in [0, 1).
// Half of the delay is fixed, half random: agents that were cut off together do not come back
// together, and none of them hammers at once.
inline Millis Backoff(const BackoffPolicy& policy, int attempt, double unit_random) {
  const int shift = std::clamp(attempt, 0, 20);
  const auto full = std::min(policy.ceiling, policy.initial * (int64_t{1} << shift));
  return Millis{static_cast<int64_t>(static_cast<double>(full.count()) *
                                     (0.5 + 0.5 * std::clamp(unit_random, 0.0, 1.0)))};
}

}  // namespace pando
