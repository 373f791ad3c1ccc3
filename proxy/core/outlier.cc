#include "proxy/core/outlier.h"

#include <algorithm>
#include <cmath>

#include "proxy/core/load.h"

namespace pando::proxy {
namespace {

constexpr uint32_t kMaxDoublings = 16;

bool MayBePicked(const Endpoint& endpoint) { return endpoint.health != EndpointHealth::kDraining; }

struct Census {
  uint32_t pickable = 0;
  uint32_t ejected = 0;
};

Census Count(const Cluster& cluster, Instant now) {
  Census census;
  for (const Endpoint& endpoint : cluster.endpoints) {
    if (!MayBePicked(endpoint)) continue;
    ++census.pickable;
    if (IsEjected(*endpoint.counters, now)) ++census.ejected;
  }
  return census;
}

}  // namespace

bool IsEjected(const EndpointCounters& counters, Instant now) {
  const int64_t until = counters.ejected_until.load(std::memory_order_relaxed);
  return until != 0 && ToNanos(now) < until;
}

bool Eject(const Cluster& cluster, EndpointCounters& counters, Instant now) {
  if (IsEjected(counters, now)) return false;
  const Census census = Count(cluster, now);
  // One at least, or a share of a small cluster would be nobody; but never the last.
  const uint32_t most = std::max(1u, census.pickable * cluster.outlier.max_ejected_percent / 100);
  if (cluster.outlier.max_ejected_percent == 0 || census.ejected >= most) return false;
  if (census.ejected + 1 >= census.pickable) return false;
  using std::chrono::nanoseconds;
  const nanoseconds base = cluster.outlier.base_ejection;
  const nanoseconds longest = std::max(cluster.outlier.max_ejection, cluster.outlier.base_ejection);
  uint32_t before = counters.ejections.load(std::memory_order_relaxed);
  const int64_t last = counters.ejected_until.load(std::memory_order_relaxed);
  if (ToNanos(now) - last > longest.count()) before = 0;  // it has been well for long
  const nanoseconds period =
      std::min(longest, base * (int64_t{1} << std::min(before, kMaxDoublings)));
  counters.ejections.store(before + 1, std::memory_order_relaxed);
  counters.consecutive_failures.store(0, std::memory_order_relaxed);
  counters.ejected_until.store(ToNanos(now + period), std::memory_order_relaxed);
  return true;
}

bool NoteFailure(const Cluster& cluster, EndpointCounters& counters, bool gateway_failure,
                 Instant now) {
  counters.failed.fetch_add(1, std::memory_order_relaxed);
  AddErrorLoad(counters, now);
  if (!gateway_failure) {
    NoteSuccess(counters);  // it did answer
    return false;
  }
  const uint32_t in_a_row = counters.consecutive_failures.fetch_add(1) + 1;
  const uint32_t threshold = cluster.outlier.consecutive_failures;
  return threshold > 0 && in_a_row >= threshold && Eject(cluster, counters, now);
}

bool InPanic(const Cluster& cluster, Instant now) {
  const Census census = Count(cluster, now);
  return (census.pickable - census.ejected) * 100 < census.pickable * cluster.panic_percent;
}

std::vector<EndpointCounters*> SuccessRates::Sweep(const Cluster& cluster, Instant now) {
  std::vector<EndpointCounters*> outliers;
  if (cluster.outlier.success_rate_stdev <= 0 || now < next_) return outliers;
  next_ = now + cluster.outlier.interval;
  struct Rate {
    EndpointCounters* counters;
    double success;
  };
  std::vector<Rate> rates;
  std::map<const EndpointCounters*, Seen> seen;
  for (const Endpoint& endpoint : cluster.endpoints) {
    if (!MayBePicked(endpoint)) continue;
    EndpointCounters* counters = endpoint.counters.get();
    const Seen total{counters->answered.load(std::memory_order_relaxed),
                     counters->failed.load(std::memory_order_relaxed)};
    seen[counters] = total;
    const auto before = seen_.find(counters);
    if (before == seen_.end()) continue;
    const uint64_t answered = total.answered - before->second.answered;
    const uint64_t failed = total.failed - before->second.failed;
    const uint64_t volume = answered + failed;
    if (volume < cluster.outlier.success_rate_volume) continue;
    rates.push_back({counters, static_cast<double>(answered) / static_cast<double>(volume)});
  }
  seen_ = std::move(seen);
  if (rates.size() < cluster.outlier.success_rate_hosts || rates.empty()) return outliers;
  double mean = 0;
  for (const Rate& rate : rates) mean += rate.success;
  mean /= static_cast<double>(rates.size());
  double variance = 0;
  for (const Rate& rate : rates) variance += (rate.success - mean) * (rate.success - mean);
  const double deviation = std::sqrt(variance / static_cast<double>(rates.size()));
  // Of three endpoints none can be 1.9 deviations from the mean of all: the farthest is at 1.41.
  const double reachable = std::sqrt(static_cast<double>(rates.size()) - 1) * 0.95;
  const double factor = std::min(cluster.outlier.success_rate_stdev, reachable);
  for (const Rate& rate : rates) {
    // A percent of errors more is no reason to do without an instance.
    if (rate.success < mean - factor * deviation && rate.success < mean - 0.02) {
      outliers.push_back(rate.counters);
    }
  }
  return outliers;
}

}  // namespace pando::proxy
