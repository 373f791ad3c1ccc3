// The endpoint with the fewest requests in flight for its weight. The counters are shared by all
// workers, so the choice is exact for the whole proxy up to kScanLimit endpoints; beyond, the
// better of two random ones, which costs the same for any number.
#pragma once

#include "proxy/core/picker.h"

namespace pando::proxy {

class LeastRequest final : public Policy {
 public:
  static constexpr size_t kScanLimit = 64;

  LeastRequest(const Cluster& cluster, FastRandom random)
      : cluster_(cluster), random_(random), next_(random_.Next()) {}
  uint32_t Choose(std::span<const uint32_t> candidates) override;

 private:
  bool Less(uint32_t a, uint32_t b) const;

  const Cluster& cluster_;
  FastRandom random_;
  uint64_t next_;  // where the scan starts, so that ties go round
};

}  // namespace pando::proxy
