#include "controller/service/load_note.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"

namespace pando::controller {
namespace {

namespace endpoint = ::envoy::config::endpoint::v3;

std::optional<Millis> ToInterval(const endpoint::ClusterStats& stats) {
  const auto& interval = stats.load_report_interval();
  const Millis millis{interval.seconds() * 1'000 + interval.nanos() / 1'000'000};
  if (millis <= Millis{0}) return std::nullopt;
  return millis;
}

// "pando.latency.0.005": within five milliseconds; "pando.latency.inf": longer than all bounds.
std::optional<double> LatencyBoundOf(absl::string_view name) {
  double bound = 0;
  if (!absl::ConsumePrefix(&name, "pando.latency.") || !absl::SimpleAtod(name, &bound) ||
      std::isnan(bound) || bound < 0) {
    return std::nullopt;
  }
  return bound;
}

RequestReport ToRequestReport(const endpoint::UpstreamEndpointStats& stats, Millis interval) {
  RequestReport report;
  report.requests = stats.total_successful_requests() + stats.total_error_requests();
  report.errors = stats.total_error_requests();
  report.interval = interval;
  for (const endpoint::EndpointLoadMetricStats& metric : stats.load_metric_stats()) {
    if (const auto bound = LatencyBoundOf(metric.metric_name())) {
      report.latency.emplace_back(*bound, metric.num_requests_finished_with_metric());
    }
  }
  return report;
}

uint64_t QueuedOf(const endpoint::UpstreamLocalityStats& stats) {
  for (const endpoint::EndpointLoadMetricStats& metric : stats.load_metric_stats()) {
    if (metric.metric_name() == "pando.queued") return metric.num_requests_finished_with_metric();
  }
  return 0;
}

// Pando's proxy names the assignment; other clients name nobody.
AssignmentId AssignmentOf(const endpoint::UpstreamEndpointStats& stats) {
  const auto& fields = stats.metadata().fields();
  const auto found = fields.find("assignment");
  return {found == fields.end() ? std::string() : found->second.string_value()};
}

// The class whose bound is the first not below that of the report's.
Load ToLoad(const RequestReport& report) {
  Load load;
  load.requests = report.requests;
  load.errors = report.errors;
  for (const auto& [seconds, count] : report.latency) {
    const double millis = seconds * 1'000;
    const auto* bound = std::find_if(kLatencyBoundsMs.begin(), kLatencyBoundsMs.end(),
                                     [millis](uint32_t ms) { return millis <= ms; });
    load.latency[static_cast<size_t>(bound - kLatencyBoundsMs.begin())] += count;
  }
  return load;
}

}  // namespace

std::vector<std::pair<AssignmentId, Load>> ToLoads(
    const envoy::service::load_stats::v3::LoadStatsRequest& request) {
  std::vector<std::pair<AssignmentId, Load>> loads;
  for (const endpoint::ClusterStats& stats : request.cluster_stats()) {
    const std::optional<Millis> interval = ToInterval(stats);
    if (!interval) continue;
    for (const endpoint::UpstreamLocalityStats& locality : stats.upstream_locality_stats()) {
      for (const endpoint::UpstreamEndpointStats& instance : locality.upstream_endpoint_stats()) {
        AssignmentId assignment = AssignmentOf(instance);
        const Load load = ToLoad(ToRequestReport(instance, *interval));
        if (!assignment.empty() && load != Load{}) loads.emplace_back(std::move(assignment), load);
      }
    }
  }
  return loads;
}

void NoteLoad(const envoy::service::load_stats::v3::LoadStatsRequest& request, const ProxyId& proxy,
              Instant now, LoadBook& book) {
  for (const endpoint::ClusterStats& stats : request.cluster_stats()) {
    const std::optional<Millis> interval = ToInterval(stats);
    if (!interval) continue;
    RequestReport of_app;
    of_app.interval = *interval;
    uint64_t queued = 0;
    for (const endpoint::UpstreamLocalityStats& locality : stats.upstream_locality_stats()) {
      of_app.requests += locality.total_successful_requests() + locality.total_error_requests();
      of_app.errors += locality.total_error_requests();
      queued += QueuedOf(locality);
      for (const endpoint::UpstreamEndpointStats& instance : locality.upstream_endpoint_stats()) {
        const RequestReport report = ToRequestReport(instance, *interval);
        of_app.latency.insert(of_app.latency.end(), report.latency.begin(), report.latency.end());
        const AssignmentId assignment = AssignmentOf(instance);
        if (!assignment.empty()) book.ProxySaidOfInstance(assignment, report, now);
      }
    }
    book.ProxySaidOfApp(proxy, {stats.cluster_name()}, of_app, queued, now);
  }
}

}  // namespace pando::controller
