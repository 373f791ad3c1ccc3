#include "proxy/core/least_request.h"

#include <algorithm>

namespace pando::proxy {

bool LeastRequest::Less(uint32_t a, uint32_t b) const {
  const Endpoint& left = cluster_.endpoints[a];
  const Endpoint& right = cluster_.endpoints[b];
  // With the request to come included, so that weights also decide between idle endpoints.
  const uint64_t left_load = uint64_t{left.counters->in_flight.load(std::memory_order_relaxed)} + 1;
  const uint64_t right_load =
      uint64_t{right.counters->in_flight.load(std::memory_order_relaxed)} + 1;
  return left_load * std::max(right.weight, 1u) < right_load * std::max(left.weight, 1u);
}

uint32_t LeastRequest::Choose(std::span<const uint32_t> candidates) {
  const size_t count = candidates.size();
  if (count > kScanLimit) {
    const size_t first = random_.Below(count);
    size_t second = random_.Below(count - 1);
    if (second >= first) ++second;
    return Less(candidates[second], candidates[first]) ? candidates[second] : candidates[first];
  }
  size_t at = static_cast<size_t>(next_++ % count);
  uint32_t best = candidates[at];
  for (size_t i = 1; i < count; ++i) {
    if (++at == count) at = 0;
    if (Less(candidates[at], best)) best = candidates[at];
  }
  return best;
}

}  // namespace pando::proxy
