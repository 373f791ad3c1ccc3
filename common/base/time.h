// Points in time and durations used throughout Pando.
//
// Instant is monotonic: for intervals, timeouts and leases; it is never persisted or sent.
// WallTime is civil time: for people and for what is stored; never compared with an Instant.
#pragma once

#include <chrono>
#include <cstdint>

namespace pando {

using Instant = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::system_clock::time_point;
using Millis = std::chrono::milliseconds;

constexpr int64_t ToUnixMillis(WallTime time) {
  return std::chrono::duration_cast<Millis>(time.time_since_epoch()).count();
}

constexpr WallTime FromUnixMillis(int64_t millis) { return WallTime{Millis{millis}}; }

}  // namespace pando
