#include "proxy/core/hash_candidates.h"

#include <algorithm>
#include <cmath>

#include "proxy/core/stable_hash.h"

namespace pando::proxy {
namespace {

float InFlight(const PolicyView& view, uint32_t index) {
  return static_cast<float>(
      view.cluster.endpoints[index].counters->in_flight.load(std::memory_order_relaxed));
}

}  // namespace

HashCandidates::HashCandidates(const PolicyView& view, FastRandom random)
    : view_(view), random_(random), is_candidate_(view.cluster.endpoints.size(), 0) {}

void HashCandidates::Set(std::span<const uint32_t> candidates, uint64_t key) {
  key_ = key;
  std::ranges::fill(is_candidate_, 0);
  float load = 1;  // the request to come
  float weight = 0;
  for (const uint32_t index : candidates) {
    is_candidate_[index] = 1;
    load += InFlight(view_, index);
    weight += view_.weights[index];
  }
  load_per_weight_ = load / weight * static_cast<float>(view_.cluster.hash_balance_percent) / 100;
}

bool HashCandidates::Takes(uint32_t index) const {
  if (is_candidate_[index] == 0) return false;
  const float whole = static_cast<float>(std::max(view_.cluster.endpoints[index].weight, 1u));
  const float share = view_.weights[index] / whole;
  if (share < 1) {
    const auto point = static_cast<float>(MixHash(key_ ^ 0x5eed) >> 40) * 0x1p-24f;
    if (point >= share) return false;
  }
  if (view_.cluster.hash_balance_percent == 0) return true;
  return InFlight(view_, index) + 1 <= std::ceil(load_per_weight_ * view_.weights[index]);
}

uint32_t HashCandidates::Any(std::span<const uint32_t> candidates, uint64_t key) const {
  return candidates[key % candidates.size()];
}

}  // namespace pando::proxy
