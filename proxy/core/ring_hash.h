// The endpoint next on a ring to the request's key. When an endpoint comes or goes only its own
// keys move. Keys of an endpoint that cannot take more go on along the ring.
#pragma once

#include <vector>

#include "proxy/core/hash_candidates.h"

namespace pando::proxy {

class RingHash final : public Policy {
 public:
  static constexpr uint32_t kPointsPerEndpoint = 160;  // times its weight over the mean
  static constexpr uint32_t kMaxPoints = 1u << 20;

  RingHash(const PolicyView& view, FastRandom random);
  uint32_t Choose(std::span<const uint32_t> candidates, const PolicyRequest& request) override;

 private:
  struct Point {
    uint64_t at;
    uint32_t endpoint;
  };
  HashCandidates candidates_;
  std::vector<Point> ring_;  // ascending
};

}  // namespace pando::proxy
