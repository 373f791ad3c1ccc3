#include <boost/json.hpp>
#include <string>

#include "proxy/control/proxy_status.h"
#include "proxy/control/stats_text.h"

namespace pando::proxy {
namespace {

namespace json = boost::json;

constexpr const char* Name(EndpointHealth health) {
  switch (health) {
    case EndpointHealth::kHealthy:
      return "healthy";
    case EndpointHealth::kDraining:
      return "draining";
    case EndpointHealth::kSuspect:
      return "suspect";
  }
  return "";
}

constexpr const char* Name(LbPolicy policy) {
  switch (policy) {
    case LbPolicy::kLeastRequest:
      return "least_request";
    case LbPolicy::kRoundRobin:
      return "round_robin";
    case LbPolicy::kRandom:
      return "random";
    case LbPolicy::kPeakEwma:
      return "peak_ewma";
    case LbPolicy::kRingHash:
      return "ring_hash";
    case LbPolicy::kMaglev:
      return "maglev";
    case LbPolicy::kSticky:
      return "sticky";
  }
  return "";
}

constexpr const char* Name(TableUpdater::Source source) {
  switch (source) {
    case TableUpdater::Source::kNone:
      return "none";
    case TableUpdater::Source::kFile:
      return "file";
    case TableUpdater::Source::kController:
      return "controller";
  }
  return "";
}

json::value ToJson(const Concurrency& concurrency) {
  switch (concurrency.kind) {
    case Concurrency::Kind::kAuto:
      return "auto";
    case Concurrency::Kind::kFixed:
      return concurrency.limit;
    case Concurrency::Kind::kUnlimited:
      return "unlimited";
  }
  return nullptr;
}

json::value ToJson(const Cluster& cluster) {
  json::array endpoints;
  for (const Endpoint& endpoint : cluster.endpoints) {
    endpoints.push_back(json::object{{"address", endpoint.address},
                                     {"port", endpoint.port},
                                     {"health", Name(endpoint.health)},
                                     {"weight", endpoint.weight},
                                     {"instance", endpoint.instance},
                                     {"assignment", endpoint.assignment},
                                     {"revision", endpoint.revision},
                                     {"in_flight", endpoint.counters->in_flight.load()}});
  }
  return json::object{{"name", cluster.name},
                      {"lb_policy", Name(cluster.lb_policy)},
                      {"concurrency", ToJson(cluster.concurrency)},
                      {"endpoints", std::move(endpoints)}};
}

json::value ToJson(const RouteTable& routes) {
  json::array hosts;
  for (const VirtualHost& host : routes.virtual_hosts) {
    json::array domains(host.domains.begin(), host.domains.end());
    json::array of_host;
    for (const Route& route : host.routes) {
      of_host.push_back(json::object{{"prefix", route.prefix},
                                     {"segments", route.segments},
                                     {"cluster", route.cluster},
                                     {"https_redirect", route.redirect.has_value()},
                                     {"timeout_ms", route.limits.total_timeout.count()},
                                     {"per_try_ms", route.limits.per_try_timeout.count()}});
    }
    hosts.push_back(json::object{{"domains", std::move(domains)}, {"routes", std::move(of_host)}});
  }
  return json::object{{"name", routes.name}, {"virtual_hosts", std::move(hosts)}};
}

// Listeners that serve, then those that wait for their address.
json::array Listeners(const ProxyTable& table, const TableUpdater& updater) {
  json::array listeners;
  auto errors = updater.ListenErrors();
  for (const Listener& listener : table.listeners) {
    json::object added{{"name", listener.name},           {"address", listener.address},
                       {"port", listener.port},           {"routes", listener.route_table},
                       {"tls", listener.tls.has_value()}, {"serving", true}};
    if (auto error = errors.extract(listener.name)) added["error"] = error.mapped();
    listeners.push_back(std::move(added));
  }
  for (const auto& [name, error] : errors) {
    listeners.push_back(json::object{{"name", name}, {"serving", false}, {"error", error}});
  }
  return listeners;
}

AdminResponse Page(const json::object& content) {
  return {.content_type = "application/json", .body = json::serialize(content) + "\n"};
}

AdminResponse TablePage(const ProxyParts& parts) {
  static const ProxyTable empty;
  const ProxyTable& table = parts.updater.table() ? *parts.updater.table() : empty;
  json::array clusters;
  for (const auto& [name, cluster] : table.clusters) clusters.push_back(ToJson(*cluster));
  json::array routes;
  for (const auto& [name, of_name] : table.routes) routes.push_back(ToJson(of_name));
  return Page({{"version", table.version},
               {"source", Name(parts.updater.source())},
               {"connected", parts.client.connected()},
               {"clusters", std::move(clusters)},
               {"listeners", Listeners(table, parts.updater)},
               {"routes", std::move(routes)}});
}

// Files and dates; nothing of what is in the files.
json::array Certificates(const DataPlane& data_plane) {
  json::array certificates;
  for (const CertificateStats& stats : data_plane.Certificates()) {
    json::object added{{"file", stats.file},
                       {"names", json::array(stats.names.begin(), stats.names.end())},
                       {"not_after_seconds", stats.not_after_seconds}};
    if (!stats.error.empty()) added["error"] = stats.error;
    certificates.push_back(std::move(added));
  }
  return certificates;
}

json::object ByClass(const uint64_t (&counts)[6]) {
  json::object by_class;
  for (size_t i = 0; i < std::size(kResponseClasses); ++i)
    by_class[kResponseClasses[i]] = counts[i];
  return by_class;
}

// Quantiles are upper bounds of the buckets they fall in.
json::object ToJson(const HistogramStats& histogram) {
  const uint64_t count = histogram.count();
  const double mean = count == 0 ? 0 : histogram.sum_seconds / static_cast<double>(count);
  return {{"count", count},
          {"mean_seconds", mean},
          {"p50_seconds", histogram.Quantile(0.5)},
          {"p90_seconds", histogram.Quantile(0.9)},
          {"p99_seconds", histogram.Quantile(0.99)}};
}

json::object ToJson(const TimingStats& timing) {
  return {{"connect", ToJson(timing.connect)},
          {"first_byte", ToJson(timing.first_byte)},
          {"total", ToJson(timing.total)}};
}

json::object ToJson(const QueueStats& queue) {
  return {{"waiting", queue.waiting},
          {"queued_total", queue.queued_total},
          {"full_total", queue.full_total},
          {"timeouts_total", queue.timeouts_total},
          {"abandoned_total", queue.abandoned_total},
          {"wait", ToJson(queue.wait)}};
}

json::object ToJson(const InstanceStats& stats) {
  return {{"instance", stats.instance},
          {"responses", ByClass(stats.responses_by_class)},
          {"failures_total", stats.failures_total},
          {"ejections_total", stats.ejections_total},
          {"request_bytes_total", stats.request_bytes_total},
          {"response_bytes_total", stats.response_bytes_total},
          {"timing", ToJson(stats.timing)}};
}

json::object ToJson(const ClusterStats& stats) {
  json::array instances;
  for (const InstanceStats& instance : stats.instances) instances.push_back(ToJson(instance));
  return {{"app", stats.cluster},
          {"requests_total", stats.requests_total},
          {"responses", ByClass(stats.responses_by_class)},
          {"retries_total", stats.retries_total},
          {"no_endpoint_total", stats.no_endpoint_total},
          {"upstream_failures_total", stats.upstream_failures_total},
          {"cut_responses_total", stats.cut_responses_total},
          {"connects_total", stats.connects_total},
          {"connect_failures_total", stats.connect_failures_total},
          {"ejections_total", stats.ejections_total},
          {"request_bytes_total", stats.request_bytes_total},
          {"response_bytes_total", stats.response_bytes_total},
          {"queue", ToJson(stats.queue)},
          {"timing", ToJson(stats.timing)},
          {"instances", std::move(instances)}};
}

AdminResponse StatsPage(const ProxyParts& parts) {
  const DataPlaneStats stats = parts.data_plane.Stats();
  json::array clusters;
  for (const ClusterStats& of_cluster : stats.clusters) clusters.push_back(ToJson(of_cluster));
  return Page({{"connections_active", stats.connections_active},
               {"connections_accepted_total", stats.connections_accepted_total},
               {"accept_pauses_total", stats.accept_pauses_total},
               {"slow_clients_total", stats.slow_clients_total},
               {"bad_requests_total", stats.bad_requests_total},
               {"unrouted_total", stats.unrouted_total},
               {"tables_applied_total", stats.tables_applied_total},
               {"nacks_total", parts.updater.nacks_total()},
               {"access_log_lines_total", stats.access_log_lines_total},
               {"access_log_dropped_total", stats.access_log_dropped_total},
               {"tls_handshakes_total", stats.tls_handshakes_total},
               {"tls_resumed_total", stats.tls_resumed_total},
               {"tls_failures_total", stats.tls_failures_total},
               {"certificates", Certificates(parts.data_plane)},
               {"clusters", std::move(clusters)}});
}

}  // namespace

void AddProxyPages(AdminHttp& http, ProxyParts parts) {
  http.Handle("/table", [parts] { return TablePage(parts); });
  http.Handle("/stats", [parts] { return StatsPage(parts); });
  http.Handle("/stats/text",
              [parts] { return AdminResponse{.body = StatsText(parts.data_plane.Stats())}; });
  http.Handle("/healthz", [parts] {
    return parts.draining ? AdminResponse{.status = 503, .body = "draining\n"}
                          : AdminResponse{.body = "ok\n"};
  });
}

}  // namespace pando::proxy
