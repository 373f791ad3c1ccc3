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

double Number(uint64_t value) { return static_cast<double>(value); }

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

// ---- per app ----

// `get` takes a ClusterStats.
template <class Get>
MetricFamily PerApp(std::string name, std::string help, MetricType type,
                    const DataPlaneStats& stats, Get get) {
  MetricFamily family = Family(std::move(name), std::move(help), type);
  for (const ClusterStats& app : stats.clusters) {
    Add(family, {{"app", app.cluster}}, Number(get(app)));
  }
  return family;
}

MetricFamily Requests(const DataPlaneStats& stats) {
  MetricFamily family = Family("pando_proxy_requests_total",
                               "Requests answered, by class of status; none: the client got none",
                               MetricType::Counter);
  for (const ClusterStats& app : stats.clusters) {
    for (size_t i = 0; i < std::size(kResponseClasses); ++i) {
      Add(family, {{"app", app.cluster}, {"code", kResponseClasses[i]}},
          Number(app.responses_by_class[i]));
    }
  }
  return family;
}

// `get` takes a ClusterStats and gives a HistogramStats.
template <class Get>
MetricFamily HistogramPerApp(std::string name, std::string help, const DataPlaneStats& stats,
                             Get get) {
  MetricFamily family = Family(std::move(name), std::move(help), MetricType::Histogram);
  const std::vector<double>& bounds = LatencyBounds();
  for (const ClusterStats& app : stats.clusters) {
    const HistogramStats& histogram = get(app);
    ClientMetric metric;
    metric.label = {{"app", app.cluster}};
    uint64_t count = 0;
    for (size_t i = 0; i < histogram.buckets.size(); ++i) {
      count += histogram.buckets[i];
      const double bound = i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity();
      metric.histogram.bucket.push_back({count, bound});
    }
    metric.histogram.sample_count = count;
    metric.histogram.sample_sum = histogram.sum_seconds;
    family.metric.push_back(std::move(metric));
  }
  return family;
}

// ---- per instance ----

Labels OfInstance(const std::string& app, const std::string& instance) {
  return {{"app", app}, {"instance", instance}};
}

// `get` takes an InstanceStats.
template <class Get>
MetricFamily PerInstance(std::string name, std::string help, const DataPlaneStats& stats, Get get) {
  MetricFamily family = Family(std::move(name), std::move(help), MetricType::Counter);
  for (const ClusterStats& app : stats.clusters) {
    for (const InstanceStats& instance : app.instances) {
      Add(family, OfInstance(app.cluster, instance.instance), Number(get(instance)));
    }
  }
  return family;
}

// Sum and count alone: buckets of a thousand instances would make a scrape too large. Quantiles of
// each instance, and its other timings, are on /stats.
MetricFamily FirstBytePerInstance(const DataPlaneStats& stats) {
  MetricFamily family = Family("pando_proxy_instance_first_byte_seconds",
                               "As pando_proxy_first_byte_seconds", MetricType::Summary);
  for (const ClusterStats& app : stats.clusters) {
    for (const InstanceStats& instance : app.instances) {
      const HistogramStats& histogram = instance.timing.first_byte;
      ClientMetric metric;
      metric.label = OfInstance(app.cluster, instance.instance);
      metric.summary.sample_count = histogram.count();
      metric.summary.sample_sum = histogram.sum_seconds;
      family.metric.push_back(std::move(metric));
    }
  }
  return family;
}

MetricFamily InstanceRequests(const DataPlaneStats& stats) {
  MetricFamily family = Family(
      "pando_proxy_instance_requests_total",
      "Requests an instance answered, by class of status; classes it never used are left out",
      MetricType::Counter);
  for (const ClusterStats& app : stats.clusters) {
    for (const InstanceStats& instance : app.instances) {
      for (size_t i = 0; i < std::size(kResponseClasses); ++i) {
        if (instance.responses_by_class[i] == 0 && i != 2) continue;
        Labels labels = OfInstance(app.cluster, instance.instance);
        labels.push_back({"code", kResponseClasses[i]});
        Add(family, std::move(labels), Number(instance.responses_by_class[i]));
      }
    }
  }
  return family;
}

MetricFamily InstanceFailures(const DataPlaneStats& stats) {
  MetricFamily family = Family("pando_proxy_instance_failures_total",
                               "Attempts on an instance that ended without a usable response; "
                               "left out until there is one",
                               MetricType::Counter);
  for (const ClusterStats& app : stats.clusters) {
    for (const InstanceStats& instance : app.instances) {
      if (instance.failures_total == 0) continue;
      Add(family, OfInstance(app.cluster, instance.instance), Number(instance.failures_total));
    }
  }
  return family;
}

// From the table: instances there are, whether or not they have had a request.
struct TableFamilies {
  MetricFamily in_flight =
      Family("pando_proxy_in_flight", "Requests an instance is working on", MetricType::Gauge);
  MetricFamily info = Family("pando_proxy_instance_info",
                             "Always 1; the labels say which revision an instance runs and whether "
                             "it is being drained",
                             MetricType::Gauge);

  explicit TableFamilies(const ProxyTable* table) {
    if (table == nullptr) return;
    for (const auto& [name, cluster] : table->clusters) AddCluster(name, *cluster);
  }

 private:
  void AddCluster(const std::string& app, const Cluster& cluster) {
    // An instance that is being replaced is there twice for a while: the old one drains.
    std::map<std::string, uint64_t> by_instance;
    std::map<std::pair<std::string, bool>, const Endpoint*> infos;
    for (const Endpoint& endpoint : cluster.endpoints) {
      const std::string instance = InstanceName(endpoint);
      by_instance[instance] += endpoint.counters->in_flight.load();
      infos[{instance, endpoint.health == EndpointHealth::kDraining}] = &endpoint;
    }
    for (const auto& [instance, value] : by_instance) {
      Add(in_flight, OfInstance(app, instance), Number(value));
    }
    for (const auto& [key, endpoint] : infos) {
      Labels labels = OfInstance(app, key.first);
      labels.push_back({"revision", endpoint->revision});
      labels.push_back({"draining", key.second ? "true" : "false"});
      Add(info, std::move(labels), 1);
    }
  }
};

// ---- certificates ----

MetricFamily CertificateExpiry(const DataPlane& data_plane) {
  MetricFamily family =
      Family("pando_proxy_certificate_not_after_seconds",
             "When a certificate in use ends, since the Unix epoch", MetricType::Gauge);
  std::map<std::string, int64_t> by_file;  // several listeners may use one
  for (const CertificateStats& stats : data_plane.Certificates()) {
    by_file[stats.file] = stats.not_after_seconds;
  }
  for (const auto& [file, seconds] : by_file) {
    Add(family, {{"file", file}}, static_cast<double>(seconds));
  }
  return family;
}

double CertificateErrors(const DataPlane& data_plane) {
  double count = 0;
  for (const CertificateStats& stats : data_plane.Certificates()) count += !stats.error.empty();
  return count;
}

}  // namespace

std::vector<MetricFamily> ProxyMetrics::Collect() const {
  const DataPlaneStats stats = parts_.data_plane.Stats();
  const ProxyTable* table = parts_.updater.table().get();
  using App = ClusterStats;
  using Instance = InstanceStats;
  const auto app_counter = [&](const char* name, const char* help, auto get) {
    return PerApp(name, help, MetricType::Counter, stats, get);
  };
  const auto app_histogram = [&](const char* name, const char* help, auto get) {
    return HistogramPerApp(name, help, stats, get);
  };
  const auto instance_counter = [&](const char* name, const char* help, auto get) {
    return PerInstance(name, help, stats, get);
  };
  TableFamilies of_table(table);
  return {
      Requests(stats),
      app_histogram("pando_proxy_request_seconds",
                    "From the request's head being read to the end of its response",
                    [](const App& app) -> const HistogramStats& { return app.timing.total; }),
      app_histogram("pando_proxy_first_byte_seconds",
                    "From a request being sent to an instance to the response's first byte",
                    [](const App& app) -> const HistogramStats& { return app.timing.first_byte; }),
      app_histogram("pando_proxy_connect_seconds", "Until a new connection to an instance stands",
                    [](const App& app) -> const HistogramStats& { return app.timing.connect; }),
      app_counter("pando_proxy_retries_total", "Requests tried on another instance",
                  [](const App& app) { return app.retries_total; }),
      app_counter("pando_proxy_no_endpoint_total", "Requests answered 503: no instance was ready",
                  [](const App& app) { return app.no_endpoint_total; }),
      app_counter("pando_proxy_upstream_failures_total", "Requests answered 502 or 504",
                  [](const App& app) { return app.upstream_failures_total; }),
      app_counter("pando_proxy_cut_responses_total",
                  "Responses begun that ended before their end; their clients can tell",
                  [](const App& app) { return app.cut_responses_total; }),
      app_counter("pando_proxy_upstream_connects_total", "Connections opened to instances",
                  [](const App& app) { return app.connects_total; }),
      app_counter("pando_proxy_upstream_connect_failures_total",
                  "Connections to instances that failed",
                  [](const App& app) { return app.connect_failures_total; }),
      app_counter("pando_proxy_request_bytes_total", "Sent to instances, heads included",
                  [](const App& app) { return app.request_bytes_total; }),
      app_counter("pando_proxy_response_bytes_total", "Received from instances, heads included",
                  [](const App& app) { return app.response_bytes_total; }),
      app_counter("pando_proxy_ejections_total", "Instances put out of rotation by this proxy",
                  [](const App& app) { return app.ejections_total; }),
      PerApp("pando_proxy_queue_length", "Requests waiting for an instance", MetricType::Gauge,
             stats, [](const App& app) { return app.queue.waiting; }),
      app_counter("pando_proxy_queued_total", "Requests that had to wait for an instance",
                  [](const App& app) { return app.queue.queued_total; }),
      app_counter("pando_proxy_queue_full_total", "Requests answered 503: the queue was full",
                  [](const App& app) { return app.queue.full_total; }),
      app_counter("pando_proxy_queue_timeouts_total",
                  "Requests answered 503 after they had waited too long",
                  [](const App& app) { return app.queue.timeouts_total; }),
      app_counter("pando_proxy_queue_abandoned_total", "Requests whose client left while waiting",
                  [](const App& app) { return app.queue.abandoned_total; }),
      app_histogram("pando_proxy_queue_seconds",
                    "How long requests waited that were given to an instance in the end",
                    [](const App& app) -> const HistogramStats& { return app.queue.wait; }),
      InstanceRequests(stats),
      FirstBytePerInstance(stats),
      InstanceFailures(stats),
      instance_counter("pando_proxy_instance_request_bytes_total", "Sent to an instance",
                       [](const Instance& instance) { return instance.request_bytes_total; }),
      instance_counter("pando_proxy_instance_response_bytes_total", "Received from an instance",
                       [](const Instance& instance) { return instance.response_bytes_total; }),
      std::move(of_table.in_flight),
      std::move(of_table.info),
      Single("pando_proxy_connections_active", "Client connections open", MetricType::Gauge,
             Number(stats.connections_active)),
      Single("pando_proxy_accept_pauses_total",
             "Times accepting paused because descriptors had run out", MetricType::Counter,
             Number(stats.accept_pauses_total)),
      Single("pando_proxy_slow_clients_total",
             "Connections closed because the client took nothing of a response for too long",
             MetricType::Counter, Number(stats.slow_clients_total)),
      Single("pando_proxy_connections_total", "Client connections accepted", MetricType::Counter,
             Number(stats.connections_accepted_total)),
      Single("pando_proxy_access_log_lines_total", "Lines written to the access log",
             MetricType::Counter, Number(stats.access_log_lines_total)),
      Single("pando_proxy_access_log_dropped_total",
             "Lines lost: the log could not keep up, or could not be written", MetricType::Counter,
             Number(stats.access_log_dropped_total)),
      Single("pando_proxy_tls_handshakes_total", "TLS connections established", MetricType::Counter,
             Number(stats.tls_handshakes_total)),
      Single("pando_proxy_tls_resumed_total", "Of those, by a session ticket", MetricType::Counter,
             Number(stats.tls_resumed_total)),
      Single("pando_proxy_tls_failures_total", "TLS handshakes begun and not finished",
             MetricType::Counter, Number(stats.tls_failures_total)),
      CertificateExpiry(parts_.data_plane),
      Single("pando_proxy_certificate_errors",
             "Certificates whose files hold something unusable now; the last good one serves",
             MetricType::Gauge, CertificateErrors(parts_.data_plane)),
      Single("pando_proxy_bad_requests_total", "Requests answered 4xx by the proxy itself",
             MetricType::Counter, Number(stats.bad_requests_total)),
      Single("pando_proxy_unrouted_total", "Requests answered 404: no route", MetricType::Counter,
             Number(stats.unrouted_total)),
      Single("pando_proxy_table_version", "Counts the tables of this process", MetricType::Gauge,
             table == nullptr ? 0 : Number(table->version)),
      Single("pando_proxy_controller_connected", "1 while the controller's stream is up",
             MetricType::Gauge, parts_.client.connected() ? 1 : 0),
      Single("pando_proxy_listen_errors", "Listeners that wait for their address",
             MetricType::Gauge, Number(parts_.updater.ListenErrors().size())),
      Single("pando_proxy_nacks_total", "Updates of the controller that were refused",
             MetricType::Counter, Number(parts_.updater.nacks_total())),
  };
}

}  // namespace pando::proxy
