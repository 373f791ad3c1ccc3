// Consistent hashing by a lookup table (Maglev, NSDI '16): one load to find an endpoint, shares
// that are even within a percent, and few keys that move when an endpoint comes or goes.
#pragma once

#include <vector>

#include "proxy/core/hash_candidates.h"

namespace pando::proxy {

class Maglev final : public Policy {
 public:
  Maglev(const PolicyView& view, FastRandom random);
  uint32_t Choose(std::span<const uint32_t> candidates, const PolicyRequest& request) override;

 private:
  HashCandidates candidates_;
  std::vector<uint32_t> table_;
};

}  // namespace pando::proxy
