// The endpoint with the fewest requests in flight for its weight, recent errors counting as such.
// The counters are shared by all workers, so the choice is exact for the whole proxy up to
// kScanLimit endpoints; beyond, the better of two random ones, which costs the same for any number.
#pragma once

#include "proxy/core/picker.h"

namespace pando::proxy {

class LeastRequest final : public Policy {
 public:
  static constexpr size_t kScanLimit = 64;

  LeastRequest(const PolicyView& view, FastRandom random)
      : view_(view), random_(random), next_(random_.Next()) {}
  uint32_t Choose(std::span<const uint32_t> candidates, const PolicyRequest& request) override;

 private:
  float Cost(uint32_t index, Instant now) const;

  const PolicyView& view_;
  FastRandom random_;
  uint64_t next_;  // where the scan starts, so that ties go round
};

}  // namespace pando::proxy
