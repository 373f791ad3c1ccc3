// One worker's own evidence against an instance. An instance that refuses connections fails fast
// and would otherwise look like the least loaded one; it is passed over for a while that grows with
// every failure, then tried with a single request's first attempt again.
#pragma once

#include <algorithm>

#include "common/base/time.h"

namespace pando::proxy {

class Suspicion {
 public:
  static constexpr Millis kFirst{250};
  static constexpr Millis kLongest{5'000};

  void OnFailure(Instant now) {
    period_ = std::min(period_ == Millis{0} ? kFirst : period_ * 2, kLongest);
    until_ = now + period_;
  }
  // For another reason than a failure: what was learned from those stays.
  void Hold(Instant until) { until_ = std::max(until_, until); }
  void OnSuccess() {
    period_ = Millis{0};
    until_ = Instant{};
  }
  bool Holds(Instant now) const { return now < until_; }
  Instant until() const { return until_; }

 private:
  Millis period_{0};
  Instant until_{};
};

}  // namespace pando::proxy
