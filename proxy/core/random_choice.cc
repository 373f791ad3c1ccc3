#include "proxy/core/random_choice.h"

namespace pando::proxy {

uint32_t RandomChoice::Choose(std::span<const uint32_t> candidates, const PolicyRequest&) {
  double total = 0;
  for (const uint32_t index : candidates) total += view_.weights[index];
  double point = random_.Unit() * total;
  for (const uint32_t index : candidates) {
    point -= view_.weights[index];
    if (point < 0) return index;
  }
  return candidates.back();
}

}  // namespace pando::proxy
