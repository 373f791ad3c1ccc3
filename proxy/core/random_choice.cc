#include "proxy/core/random_choice.h"

namespace pando::proxy {

uint32_t RandomChoice::Choose(std::span<const uint32_t> candidates) {
  uint64_t total = 0;
  for (uint32_t index : candidates) total += cluster_.endpoints[index].weight;
  if (total == 0) return candidates[random_.Below(candidates.size())];
  uint64_t point = random_.Next() % total;
  for (uint32_t index : candidates) {
    const uint64_t weight = cluster_.endpoints[index].weight;
    if (point < weight) return index;
    point -= weight;
  }
  return candidates.back();
}

}  // namespace pando::proxy
