#include "proxy/control/traffic_report.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"

namespace pando::proxy {
namespace {

namespace endpoint = ::envoy::config::endpoint::v3;

// Counters of an instance that left and came back begin anew.
uint64_t Since(uint64_t before, uint64_t now) { return now >= before ? now - before : now; }

uint64_t Bucket(const HistogramStats& histogram, size_t number) {
  return number < histogram.buckets.size() ? histogram.buckets[number] : 0;
}

}  // namespace

TrafficReport::Now TrafficReport::Read(const DataPlaneStats& stats) {
  Now now;
  for (const ClusterStats& cluster : stats.clusters) {
    now.queued[cluster.cluster] = cluster.queue.waiting;
    for (const InstanceStats& instance : cluster.instances) {
      now.instances[{cluster.cluster, instance.instance}] = instance;
    }
    for (const InstanceStats& assignment : cluster.assignments) {
      now.instances[{cluster.cluster, assignment.instance}] = assignment;
    }
  }
  return now;
}

void TrafficReport::Begin(const DataPlaneStats& stats) { before_ = now_ = Read(stats); }

void TrafficReport::Next(const DataPlaneStats& stats) {
  before_ = std::exchange(now_, Read(stats));
}

void TrafficReport::FillInstance(const std::string& cluster, const std::string& instance,
                                 endpoint::UpstreamEndpointStats& into) const {
  const auto found = now_.instances.find({cluster, instance});
  if (found == now_.instances.end()) return;
  const InstanceStats& now = found->second;
  static const InstanceStats nothing;
  const auto known = before_.instances.find(found->first);
  const InstanceStats& before = known == before_.instances.end() ? nothing : known->second;
  const auto of_class = [&](size_t number) {
    return Since(before.responses_by_class[number], now.responses_by_class[number]);
  };
  const uint64_t successful = of_class(1) + of_class(2) + of_class(3) + of_class(4);
  const uint64_t errors = of_class(5) + Since(before.failures_total, now.failures_total);
  into.set_total_successful_requests(successful);
  into.set_total_error_requests(errors);
  into.set_total_issued_requests(successful + errors);
  const std::vector<double>& bounds = LatencyBounds();
  for (size_t i = 0; i < now.timing.total.buckets.size(); ++i) {
    const uint64_t count = Since(Bucket(before.timing.total, i), Bucket(now.timing.total, i));
    if (count == 0) continue;
    endpoint::EndpointLoadMetricStats& metric = *into.add_load_metric_stats();
    metric.set_metric_name(i < bounds.size() ? absl::StrCat("pando.latency.", bounds[i])
                                             : "pando.latency.inf");
    metric.set_num_requests_finished_with_metric(count);
  }
}

void TrafficReport::FillCluster(const std::string& cluster,
                                endpoint::UpstreamLocalityStats& into) const {
  const auto queued = now_.queued.find(cluster);
  if (queued == now_.queued.end()) return;
  endpoint::EndpointLoadMetricStats& metric = *into.add_load_metric_stats();
  metric.set_metric_name("pando.queued");
  metric.set_num_requests_finished_with_metric(queued->second);
}

}  // namespace pando::proxy
