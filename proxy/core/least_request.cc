#include "proxy/core/least_request.h"

#include "proxy/core/load.h"

namespace pando::proxy {

float LeastRequest::Cost(uint32_t index, Instant now) const {
  return LoadWithOneMore(*view_.cluster.endpoints[index].counters, now) / view_.weights[index];
}

uint32_t LeastRequest::Choose(std::span<const uint32_t> candidates, const PolicyRequest& request) {
  const size_t count = candidates.size();
  if (count > kScanLimit) {
    const size_t first = random_.Below(count);
    size_t second = random_.Below(count - 1);
    if (second >= first) ++second;
    return Cost(candidates[second], request.now) < Cost(candidates[first], request.now)
               ? candidates[second]
               : candidates[first];
  }
  size_t at = static_cast<size_t>(next_++ % count);
  uint32_t best = candidates[at];
  float best_cost = Cost(best, request.now);
  for (size_t i = 1; i < count; ++i) {
    if (++at == count) at = 0;
    const float cost = Cost(candidates[at], request.now);
    if (cost < best_cost) {
      best = candidates[at];
      best_cost = cost;
    }
  }
  return best;
}

}  // namespace pando::proxy
