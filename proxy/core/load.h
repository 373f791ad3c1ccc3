// How loaded an endpoint is: its requests in flight, and its recent errors as if they were.
//
// An instance that fails in half a millisecond has nothing in flight and would look idle. So each
// error stays on its account like a request, fading away, and draws less traffic than service does;
// an instance that recovers is found out by the trickle it still gets.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>

#include "common/base/time.h"
#include "proxy/core/upstream_table.h"

namespace pando::proxy {

inline constexpr std::chrono::nanoseconds kErrorFade = std::chrono::seconds(1);

inline int64_t ToNanos(Instant time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

// The part of a value that is left after `elapsed`, when it falls to 1/e in `period`.
inline float Fade(int64_t elapsed_nanos, std::chrono::nanoseconds period) {
  if (elapsed_nanos <= 0) return 1;
  return std::exp(-static_cast<float>(elapsed_nanos) / static_cast<float>(period.count()));
}

inline float ErrorLoad(const EndpointCounters& counters, Instant now) {
  const float load = counters.error_load.load(std::memory_order_relaxed);
  if (load == 0) return 0;  // nearly always
  const int64_t at = counters.error_load_at.load(std::memory_order_relaxed);
  return load * Fade(ToNanos(now) - at, kErrorFade);
}

// Two workers that do this at once may lose one of the two errors, which does not matter.
inline void AddErrorLoad(EndpointCounters& counters, Instant now) {
  counters.error_load.store(ErrorLoad(counters, now) + 1, std::memory_order_relaxed);
  counters.error_load_at.store(ToNanos(now), std::memory_order_relaxed);
}

// Requests the cluster's endpoints have in hand, over all workers. Tunnels are none: they stay for
// as long as they like.
inline uint64_t ActiveRequests(const Cluster& cluster) {
  uint64_t active = 0;
  for (const Endpoint& endpoint : cluster.endpoints) {
    const uint32_t in_flight = endpoint.counters->in_flight.load(std::memory_order_relaxed);
    const uint32_t tunnels = endpoint.counters->tunnels.load(std::memory_order_relaxed);
    active += in_flight - std::min(in_flight, tunnels);
  }
  return active;
}

// With the request to come included, so that weights also decide between idle endpoints.
inline float LoadWithOneMore(const EndpointCounters& counters, Instant now) {
  return static_cast<float>(counters.in_flight.load(std::memory_order_relaxed)) + 1 +
         ErrorLoad(counters, now);
}

}  // namespace pando::proxy
