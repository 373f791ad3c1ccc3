// The endpoint from which an answer is expected soonest: its recent latency times what it has in
// hand. The better of two random ones, so that endpoints of equal cost share the traffic.
//
// The latency follows a peak at once and forgets it in kForget: an endpoint that was slow is asked
// again even when nobody asked it meanwhile. But by one request at a time: until that is answered
// nothing new is known of it, and a new endpoint, of which nothing is known at all, must not be
// given everything there is. Errors count as requests in hand (core/load.h).
#pragma once

#include "proxy/core/picker.h"

namespace pando::proxy {

class PeakEwma final : public Policy {
 public:
  static constexpr std::chrono::nanoseconds kForget = std::chrono::seconds(10);

  PeakEwma(const PolicyView& view, FastRandom random) : view_(view), random_(random) {}
  uint32_t Choose(std::span<const uint32_t> candidates, const PolicyRequest& request) override;

  // Until an answer's first byte. Not to be told of errors: they may be quick.
  static void Observe(EndpointCounters& counters, std::chrono::nanoseconds latency, Instant now);

 private:
  float Cost(uint32_t index, Instant now) const;

  const PolicyView& view_;
  FastRandom random_;
};

}  // namespace pando::proxy
