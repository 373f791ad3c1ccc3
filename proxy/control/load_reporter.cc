#include "proxy/control/load_reporter.h"

#include <algorithm>
#include <utility>

namespace pando::proxy {
namespace {

namespace endpoint = ::envoy::config::endpoint::v3;

constexpr BackoffPolicy kReconnect{.initial = Millis{100}, .ceiling = Millis{2'000}};
constexpr Millis kMinInterval{100};  // a server that asks for more gets this

// How long ago something was, in a field of its own; nothing when it never was.
void AddAge(const std::atomic<Instant::rep>& at, Instant now, const char* name,
            google::protobuf::Map<std::string, google::protobuf::Value>& metadata) {
  const Instant::rep ticks = at.load(std::memory_order_relaxed);
  if (ticks == 0) return;
  const auto age = std::chrono::duration_cast<Millis>(now - Instant{Instant::duration{ticks}});
  metadata[name].set_number_value(static_cast<double>(std::max(age, Millis{0}).count()));
}

void AddEndpoint(const Endpoint& from, Instant now, endpoint::UpstreamLocalityStats& stats) {
  const uint32_t in_flight = from.counters->in_flight.load(std::memory_order_acquire);
  stats.set_total_requests_in_progress(stats.total_requests_in_progress() + in_flight);
  endpoint::UpstreamEndpointStats& added = *stats.add_upstream_endpoint_stats();
  auto& address = *added.mutable_address()->mutable_socket_address();
  address.set_address(from.address);
  address.set_port_value(from.port);
  added.set_total_requests_in_progress(in_flight);
  auto& metadata = *added.mutable_metadata()->mutable_fields();
  metadata["assignment"].set_string_value(from.assignment);
  metadata["draining"].set_bool_value(from.health == EndpointHealth::kDraining);
  if (const uint32_t tunnels = from.counters->tunnels.load(std::memory_order_relaxed)) {
    metadata["tunnels"].set_number_value(std::min(tunnels, in_flight));
  }
  AddAge(from.counters->answered_at, now, "answered_ms", metadata);
  AddAge(from.counters->unreachable_at, now, "unreachable_ms", metadata);
}

}  // namespace

LoadReporter::LoadReporter(Executor& loop, std::shared_ptr<grpc::Channel> channel,
                           envoy::config::core::v3::Node node,
                           std::function<DataPlaneStats()> stats)
    : loop_(loop),
      channel_(std::move(channel)),
      stub_(envoy::service::load_stats::v3::LoadReportingService::NewStub(channel_)),
      node_(std::move(node)),
      stats_(std::move(stats)) {}

LoadReporter::~LoadReporter() = default;

void LoadReporter::Start() { Connect(); }

void LoadReporter::Reconnect(envoy::config::core::v3::Node node) {
  node_ = std::move(node);
  ++schedule_;
  stream_.reset();
  Connect();
}

void LoadReporter::OnTable(std::shared_ptr<const ProxyTable> table) {
  table_ = std::move(table);
  drain_due_ = true;
  WriteDue();
}

void LoadReporter::OnDrained() {
  // Many may end at once; one look at all of them is enough.
  if (drained_posted_.exchange(true)) return;
  loop_.Post([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    drained_posted_ = false;
    drain_due_ = true;
    WriteDue();
  });
}

void LoadReporter::Connect() {
  ++connects_;
  asked_ = false;
  stream_ = std::make_unique<ClientStream<Request, Response>>(
      loop_,
      ClientStream<Request, Response>::Events{
          .on_response = [this](const Response& response) { OnResponse(response); },
          .on_written = [this] { WriteDue(); },
          .on_end = [this](const grpc::Status&) { OnEnd(); }},
      [this](grpc::ClientContext* context, auto* reactor) {
        stub_->async()->StreamLoadStats(context, reactor);
      });
  Request hello;
  *hello.mutable_node() = node_;
  stream_->Write(std::move(hello));
}

void LoadReporter::OnResponse(const Response& response) {
  attempt_ = 0;
  if (!std::exchange(asked_, true)) {
    // Totals count from here: what came before was reported to someone else or to nobody.
    const DataPlaneStats stats = stats_();
    last_totals_ = ToTotals(stats);
    traffic_.Begin(stats);
    last_full_ = loop_.Now();
  }
  all_clusters_ = response.send_all_clusters();
  clusters_ = {response.clusters().begin(), response.clusters().end()};
  const auto& asked = response.load_reporting_interval();
  const auto interval = std::chrono::seconds(asked.seconds()) +
                        std::chrono::duration_cast<Millis>(std::chrono::nanoseconds(asked.nanos()));
  interval_ = std::clamp<Millis>(interval, kMinInterval, std::chrono::hours(1));
  full_due_ = true;
  WriteDue();
  ScheduleReport();
}

void LoadReporter::ScheduleReport() {
  loop_.RunAfter(interval_, [this, alive = std::weak_ptr(alive_), schedule = ++schedule_] {
    if (alive.expired() || schedule != schedule_) return;
    full_due_ = true;
    WriteDue();
    ScheduleReport();
  });
}

void LoadReporter::OnEnd() {
  ++schedule_;
  stream_.reset();
  asked_ = false;
  const double unit = static_cast<double>(random_()) / std::mt19937::max();
  loop_.RunAfter(Backoff(kReconnect, attempt_++, unit),
                 [this, alive = std::weak_ptr(alive_), connects = connects_] {
                   if (!alive.expired() && connects == connects_) Connect();
                 });
}

void LoadReporter::WriteDue() {
  if (stream_ == nullptr || !asked_ || stream_->writing() || table_ == nullptr) return;
  if (std::exchange(full_due_, false)) {
    drain_due_ = false;
    stream_->Write(FullReport());
  } else if (std::exchange(drain_due_, false)) {
    if (auto report = DrainReport()) stream_->Write(*std::move(report));
  }
}

bool LoadReporter::Reported(const std::string& cluster) const {
  return all_clusters_ || clusters_.contains(cluster);
}

LoadReporter::Request LoadReporter::FullReport() {
  const Instant now = loop_.Now();
  const auto elapsed = std::chrono::duration_cast<Millis>(now - std::exchange(last_full_, now));
  const DataPlaneStats traffic = stats_();
  traffic_.Next(traffic);
  std::map<std::string, Totals> totals = ToTotals(traffic);
  Request report;
  for (const auto& [name, cluster] : table_->clusters) {
    if (!Reported(name)) continue;
    endpoint::ClusterStats& stats = *report.add_cluster_stats();
    stats.set_cluster_name(name);
    stats.mutable_load_report_interval()->set_seconds(elapsed.count() / 1'000);
    stats.mutable_load_report_interval()->set_nanos(
        static_cast<int32_t>(elapsed.count() % 1'000 * 1'000'000));
    endpoint::UpstreamLocalityStats& all = *stats.add_upstream_locality_stats();
    all.mutable_locality();
    const Totals& before = last_totals_[name];
    const Totals& after = totals[name];
    all.set_total_issued_requests(after.issued - before.issued);
    all.set_total_successful_requests(after.successful - before.successful);
    all.set_total_error_requests(after.errors - before.errors);
    traffic_.FillCluster(name, all);
    for (const Endpoint& of_cluster : cluster->endpoints) {
      AddEndpoint(of_cluster, now, all);
      const bool named = !of_cluster.assignment.empty();
      // Without a name of its own it can not be told from the one that replaces it, who is meant.
      if (!named && of_cluster.health == EndpointHealth::kDraining) continue;
      traffic_.FillInstance(name, named ? of_cluster.assignment : InstanceName(of_cluster),
                            *all.mutable_upstream_endpoint_stats()->rbegin());
    }
  }
  last_totals_ = std::move(totals);
  return report;
}

std::optional<LoadReporter::Request> LoadReporter::DrainReport() const {
  Request report;
  for (const auto& [name, cluster] : table_->clusters) {
    if (!Reported(name)) continue;
    endpoint::UpstreamLocalityStats draining;
    draining.mutable_locality();
    for (const Endpoint& of_cluster : cluster->endpoints) {
      if (of_cluster.health == EndpointHealth::kDraining) {
        AddEndpoint(of_cluster, loop_.Now(), draining);
      }
    }
    if (draining.upstream_endpoint_stats().empty()) continue;
    endpoint::ClusterStats& stats = *report.add_cluster_stats();
    stats.set_cluster_name(name);
    *stats.add_upstream_locality_stats() = std::move(draining);
  }
  if (report.cluster_stats().empty()) return std::nullopt;
  return report;
}

std::map<std::string, LoadReporter::Totals> LoadReporter::ToTotals(const DataPlaneStats& stats) {
  std::map<std::string, Totals> totals;
  for (const ClusterStats& of_cluster : stats.clusters) {
    Totals& into = totals[of_cluster.cluster];
    into.issued += of_cluster.requests_total;
    const uint64_t* by_class = of_cluster.responses_by_class;
    into.successful += by_class[1] + by_class[2] + by_class[3] + by_class[4];
    into.errors += by_class[0] + by_class[5];
  }
  return totals;
}

}  // namespace pando::proxy
