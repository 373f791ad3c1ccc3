#include "proxy/core/ring_hash.h"

#include <algorithm>
#include <cmath>

#include "proxy/core/stable_hash.h"

namespace pando::proxy {

RingHash::RingHash(const PolicyView& view, FastRandom random) : candidates_(view, random) {
  const std::vector<Endpoint>& endpoints = view.cluster.endpoints;
  double total = 0;
  for (const Endpoint& endpoint : endpoints) total += std::max(endpoint.weight, 1u);
  const double points =
      std::min<double>(kMaxPoints, static_cast<double>(endpoints.size()) * kPointsPerEndpoint);
  for (uint32_t i = 0; i < endpoints.size(); ++i) {
    const uint64_t id = EndpointHash(endpoints[i]);
    const double share = std::max(endpoints[i].weight, 1u) / total;
    const auto count = std::max<uint64_t>(1, static_cast<uint64_t>(std::llround(share * points)));
    for (uint64_t j = 0; j < count; ++j) {
      ring_.push_back({MixHash(id + j * 0x9e3779b97f4a7c15), i});
    }
  }
  std::ranges::sort(ring_, [](const Point& a, const Point& b) {
    return a.at != b.at ? a.at < b.at : a.endpoint < b.endpoint;
  });
}

uint32_t RingHash::Choose(std::span<const uint32_t> candidates, const PolicyRequest& request) {
  if (!request.hash.has_value()) return candidates_.Any(candidates, candidates_.RandomKey());
  const uint64_t key = MixHash(*request.hash);
  candidates_.Set(candidates, key);
  auto at = std::ranges::lower_bound(ring_, key, {}, &Point::at);
  for (size_t i = 0; i < ring_.size(); ++i, ++at) {
    if (at == ring_.end()) at = ring_.begin();
    if (candidates_.Takes(at->endpoint)) return at->endpoint;
  }
  return candidates_.Any(candidates, key);
}

}  // namespace pando::proxy
