#include "proxy/net/stats.h"

#include <algorithm>

namespace pando::proxy {

const std::vector<double>& LatencyBounds() {
  static const std::vector<double> bounds = {0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                             0.025,   0.05,   0.1,   0.25,   0.5,   1,
                                             2.5,     5,      10,    30,     60};
  static_assert(kLatencyBuckets == 18);
  return bounds;
}

void ClusterCounters::RecordLatency(std::chrono::nanoseconds elapsed) {
  const double seconds = std::chrono::duration<double>(elapsed).count();
  const std::vector<double>& bounds = LatencyBounds();
  const auto bucket = std::lower_bound(bounds.begin(), bounds.end(), seconds) - bounds.begin();
  latency[static_cast<size_t>(bucket)].Add();
  latency_micros.Add(static_cast<uint64_t>(elapsed.count()) / 1'000);
}

ClusterCounters& WorkerStats::ForCluster(const std::string& name) {
  std::lock_guard lock(mutex_);
  std::unique_ptr<ClusterCounters>& counters = clusters_[name];
  if (counters == nullptr) counters = std::make_unique<ClusterCounters>();
  return *counters;
}

void WorkerStats::AddTo(std::map<std::string, ClusterStats>& clusters, DataPlaneStats& sum) const {
  sum.connections_accepted_total += accepted.value();
  sum.connections_active += active_connections.value();
  sum.bad_requests_total += bad_requests.value();
  sum.unrouted_total += unrouted.value();
  std::lock_guard lock(mutex_);
  for (const auto& [name, from] : clusters_) {
    ClusterStats& to = clusters[name];
    to.cluster = name;
    to.requests_total += from->requests.value();
    for (size_t i = 0; i < from->responses_by_class.size(); ++i) {
      to.responses_by_class[i] += from->responses_by_class[i].value();
    }
    to.retries_total += from->retries.value();
    to.no_endpoint_total += from->no_endpoint.value();
    to.upstream_failures_total += from->upstream_failures.value();
    to.connects_total += from->connects.value();
    to.connect_failures_total += from->connect_failures.value();
    to.latency_buckets.resize(kLatencyBuckets);
    for (size_t i = 0; i < kLatencyBuckets; ++i) to.latency_buckets[i] += from->latency[i].value();
    to.latency_sum_seconds += static_cast<double>(from->latency_micros.value()) / 1e6;
  }
}

}  // namespace pando::proxy
