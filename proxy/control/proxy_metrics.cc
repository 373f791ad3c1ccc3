#include <prometheus/metric_family.h>

#include <limits>
#include <map>
#include <utility>

#include "proxy/control/proxy_status.h"

namespace pando::proxy {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

MetricFamily Family(std::string name, std::string help, MetricType type) {
  MetricFamily family;
  family.name = std::move(name);
  family.help = std::move(help);
  family.type = type;
  return family;
}

void Add(MetricFamily& family, Labels labels, double value) {
  ClientMetric metric;
  metric.label = std::move(labels);
  if (family.type == MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  family.metric.push_back(std::move(metric));
}

MetricFamily Single(std::string name, std::string help, MetricType type, double value) {
  MetricFamily family = Family(std::move(name), std::move(help), type);
  Add(family, {}, value);
  return family;
}

MetricFamily PerCluster(std::string name, std::string help, const DataPlaneStats& stats,
                        uint64_t ClusterStats::*value) {
  MetricFamily family = Family(std::move(name), std::move(help), MetricType::Counter);
  for (const ClusterStats& of_cluster : stats.clusters) {
    Add(family, {{"app", of_cluster.cluster}}, static_cast<double>(of_cluster.*value));
  }
  return family;
}

MetricFamily Requests(const DataPlaneStats& stats) {
  MetricFamily family = Family("pando_proxy_requests_total",
                               "Requests answered, by class of status; none: the client got none",
                               MetricType::Counter);
  constexpr const char* kClasses[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
  for (const ClusterStats& of_cluster : stats.clusters) {
    for (size_t i = 0; i < std::size(kClasses); ++i) {
      Add(family, {{"app", of_cluster.cluster}, {"code", kClasses[i]}},
          static_cast<double>(of_cluster.responses_by_class[i]));
    }
  }
  return family;
}

MetricFamily Latency(const DataPlaneStats& stats) {
  MetricFamily family = Family("pando_proxy_request_seconds",
                               "From the request's head being read to the end of its response",
                               MetricType::Histogram);
  const std::vector<double>& bounds = LatencyBounds();
  for (const ClusterStats& of_cluster : stats.clusters) {
    ClientMetric metric;
    metric.label = {{"app", of_cluster.cluster}};
    uint64_t count = 0;
    for (size_t i = 0; i < of_cluster.latency_buckets.size(); ++i) {
      count += of_cluster.latency_buckets[i];
      const double bound = i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity();
      metric.histogram.bucket.push_back({count, bound});
    }
    metric.histogram.sample_count = count;
    metric.histogram.sample_sum = of_cluster.latency_sum_seconds;
    family.metric.push_back(std::move(metric));
  }
  return family;
}

MetricFamily InFlight(const ProxyTable* table) {
  MetricFamily family =
      Family("pando_proxy_in_flight", "Requests an instance is working on", MetricType::Gauge);
  if (table == nullptr) return family;
  for (const auto& [name, cluster] : table->clusters) {
    // An instance that is being replaced is there twice for a while: the old one drains.
    std::map<std::string, uint64_t> by_instance;
    for (const Endpoint& endpoint : cluster->endpoints) {
      // Other control planes name no instances; the address tells them apart too.
      const std::string instance = endpoint.instance.empty()
                                       ? endpoint.address + ":" + std::to_string(endpoint.port)
                                       : endpoint.instance;
      by_instance[instance] += endpoint.counters->in_flight.load();
    }
    for (const auto& [instance, in_flight] : by_instance) {
      Add(family, {{"app", name}, {"instance", instance}}, static_cast<double>(in_flight));
    }
  }
  return family;
}

}  // namespace

std::vector<MetricFamily> ProxyMetrics::Collect() const {
  const DataPlaneStats stats = parts_.data_plane.Stats();
  const ProxyTable* table = parts_.updater.table().get();
  const auto number = [](uint64_t value) { return static_cast<double>(value); };
  return {
      Requests(stats),
      Latency(stats),
      PerCluster("pando_proxy_retries_total", "Requests tried on another instance", stats,
                 &ClusterStats::retries_total),
      PerCluster("pando_proxy_no_endpoint_total", "Requests answered 503: no instance was ready",
                 stats, &ClusterStats::no_endpoint_total),
      PerCluster("pando_proxy_upstream_failures_total", "Requests answered 502 or 504", stats,
                 &ClusterStats::upstream_failures_total),
      PerCluster("pando_proxy_upstream_connects_total", "Connections opened to instances", stats,
                 &ClusterStats::connects_total),
      PerCluster("pando_proxy_upstream_connect_failures_total",
                 "Connections to instances that failed", stats,
                 &ClusterStats::connect_failures_total),
      Single("pando_proxy_connections_active", "Client connections open", MetricType::Gauge,
             number(stats.connections_active)),
      Single("pando_proxy_bad_requests_total", "Requests answered 4xx by the proxy itself",
             MetricType::Counter, number(stats.bad_requests_total)),
      Single("pando_proxy_unrouted_total", "Requests answered 404: no route", MetricType::Counter,
             number(stats.unrouted_total)),
      InFlight(table),
      Single("pando_proxy_table_version", "Counts the tables of this process", MetricType::Gauge,
             table == nullptr ? 0 : number(table->version)),
      Single("pando_proxy_controller_connected", "1 while the controller's stream is up",
             MetricType::Gauge, parts_.client.connected() ? 1 : 0),
      Single("pando_proxy_listen_errors", "Listeners that wait for their address",
             MetricType::Gauge, number(parts_.updater.ListenErrors().size())),
      Single("pando_proxy_nacks_total", "Updates of the controller that were refused",
             MetricType::Counter, number(parts_.updater.nacks_total())),
  };
}

}  // namespace pando::proxy
