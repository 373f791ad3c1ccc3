// After how long an app closes a connection that is idle, learned from its closes.
//
// A request sent while such a close is on its way is lost, so kept connections are given up
// earlier. A single close says little: the app may be going down. Two in a row after about the same
// time do.
#pragma once

#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/time.h"

namespace pando::proxy {

class IdleLimit {
 public:
  static constexpr Millis kShortest{400};  // whatever closes sooner has other reasons

  // The app closed a connection that had been idle for so long.
  void OnClosedByApp(Millis idle) {
    if (idle < kShortest) return;
    const Millis before = std::exchange(last_, idle);
    const Millis shorter = std::min(before, idle);
    if (before == Millis{0} || std::max(before, idle) - shorter > shorter / 4) return;
    limit_ = limit_.has_value() ? std::min(*limit_, shorter) : shorter;
  }
  // What is behind the address may be another process now.
  void Forget() { *this = IdleLimit(); }

  std::optional<Millis> limit() const { return limit_; }

  // How long to keep an idle connection whose app closes it at `limit`: a second less, or half of a
  // short limit.
  static Millis KeepFor(Millis limit) { return std::max(limit - Millis{1'000}, limit / 2); }

 private:
  Millis last_{0};
  std::optional<Millis> limit_;
};

}  // namespace pando::proxy
