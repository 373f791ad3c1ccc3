#include "proxy/core/peak_ewma.h"

#include <algorithm>

#include "proxy/core/load.h"

namespace pando::proxy {
namespace {

float LatencyNow(const EndpointCounters& counters, Instant now) {
  const float latency = counters.latency_micros.load(std::memory_order_relaxed);
  if (latency == 0) return 0;
  const int64_t at = counters.latency_at.load(std::memory_order_relaxed);
  return latency * Fade(ToNanos(now) - at, PeakEwma::kForget);
}

}  // namespace

void PeakEwma::Observe(EndpointCounters& counters, std::chrono::nanoseconds latency, Instant now) {
  const float sample = std::max(static_cast<float>(latency.count()) / 1'000, 1.0f);
  const float known = counters.latency_micros.load(std::memory_order_relaxed);
  const int64_t at = counters.latency_at.load(std::memory_order_relaxed);
  const float kept = Fade(ToNanos(now) - at, kForget);
  const float next = sample > known ? sample : known * kept + sample * (1 - kept);
  counters.latency_micros.store(next, std::memory_order_relaxed);
  counters.latency_at.store(ToNanos(now), std::memory_order_relaxed);
}

float PeakEwma::Cost(uint32_t index, Instant now) const {
  constexpr float kLeastMicros = 1;
  constexpr float kUnknownMicros = 60e6;  // more than any that is known
  const EndpointCounters& counters = *view_.cluster.endpoints[index].counters;
  float latency = kLeastMicros;
  if (counters.in_flight.load(std::memory_order_relaxed) == 0) {
    latency = std::max(LatencyNow(counters, now), kLeastMicros);
  } else if (const float known = counters.latency_micros.load(std::memory_order_relaxed);
             known > 0) {
    latency = known;
  } else {
    latency = kUnknownMicros;
  }
  return latency * LoadWithOneMore(counters, now) / view_.weights[index];
}

uint32_t PeakEwma::Choose(std::span<const uint32_t> candidates, const PolicyRequest& request) {
  const size_t count = candidates.size();
  if (count == 1) return candidates.front();
  const size_t first = random_.Below(count);
  size_t second = random_.Below(count - 1);
  if (second >= first) ++second;
  return Cost(candidates[second], request.now) < Cost(candidates[first], request.now)
             ? candidates[second]
             : candidates[first];
}

}  // namespace pando::proxy
