#include "proxy/core/sticky.h"

#include <algorithm>

#include "proxy/core/stable_hash.h"

namespace pando::proxy {

Sticky::Sticky(const PolicyView& view, FastRandom random) : others_(view, random) {
  for (uint32_t i = 0; i < view.cluster.endpoints.size(); ++i) {
    by_id_.emplace(EndpointHash(view.cluster.endpoints[i]), i);
  }
}

uint32_t Sticky::Choose(std::span<const uint32_t> candidates, const PolicyRequest& request) {
  if (request.hash.has_value()) {
    const auto found = by_id_.find(*request.hash);
    if (found != by_id_.end() && std::ranges::binary_search(candidates, found->second)) {
      return found->second;
    }
  }
  return others_.Choose(candidates, request);
}

bool Sticky::Binds(uint32_t chosen, const PolicyRequest& request) const {
  if (!request.hash.has_value()) return false;
  const auto found = by_id_.find(*request.hash);
  return found != by_id_.end() && found->second == chosen;
}

}  // namespace pando::proxy
