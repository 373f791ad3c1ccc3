#include "controller/service/load_service.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "controller/service/load_note.h"

namespace pando::controller {
namespace {

namespace lrs = ::envoy::service::load_stats::v3;
namespace endpoint = ::envoy::config::endpoint::v3;

struct Said {
  AssignmentId assignment;
  EndpointReport report;
};

std::optional<Instant> Before(
    Instant now, const google::protobuf::Map<std::string, google::protobuf::Value>& fields,
    const char* age_ms) {
  const auto found = fields.find(age_ms);
  if (found == fields.end() || !(found->second.number_value() >= 0)) return std::nullopt;
  return now - Millis{static_cast<int64_t>(std::min(found->second.number_value(), 1e12))};
}

// What Pando's proxy says of an endpoint in the report's metadata; other clients say nothing.
std::optional<Said> ToReport(const endpoint::UpstreamEndpointStats& stats, Instant now) {
  const auto& fields = stats.metadata().fields();
  const auto assignment = fields.find("assignment");
  if (assignment == fields.end() || assignment->second.string_value().empty()) return std::nullopt;
  const auto draining = fields.find("draining");
  const auto tunnels = fields.find("tunnels");
  Said said;
  said.assignment = {assignment->second.string_value()};
  said.report.in_flight = stats.total_requests_in_progress();
  said.report.draining = draining != fields.end() && draining->second.bool_value();
  if (tunnels != fields.end() && tunnels->second.number_value() > 0) {
    said.report.tunnels = static_cast<uint64_t>(tunnels->second.number_value());
  }
  said.report.reach.unreachable_at = Before(now, fields, "unreachable_ms");
  said.report.reach.answered_at = Before(now, fields, "answered_ms");
  return said;
}

}  // namespace

class LoadService::LoadStream final
    : public LoopStream<lrs::LoadStatsRequest, lrs::LoadStatsResponse> {
 public:
  explicit LoadStream(LoadService& service)
      : LoopStream(service.control_.loop(), service.streams_),
        control_(service.control_),
        observations_(service.observations_) {}

 private:
  void OnMessage(lrs::LoadStatsRequest& request) override {
    if (proxy_.empty()) {
      proxy_ = {request.node().id()};
      if (proxy_.empty()) {
        return Close({grpc::StatusCode::INVALID_ARGUMENT, "the first request has no node.id"});
      }
      lrs::LoadStatsResponse& response = settings_.emplace();
      response.set_send_all_clusters(true);
      response.set_report_endpoint_granularity(true);
      response.mutable_load_reporting_interval()->set_seconds(1);
      Pump();
    }
    NoteLoad(request, proxy_, control_.loop().Now(), observations_.load);
    control_.DoQuietly([&](Cluster& cluster, Instant now, Effects& effects) {
      for (const endpoint::ClusterStats& stats : request.cluster_stats()) {
        for (const auto& locality : stats.upstream_locality_stats()) {
          for (const auto& of_endpoint : locality.upstream_endpoint_stats()) {
            if (const auto said = ToReport(of_endpoint, now)) {
              cluster.ProxyReported(proxy_, said->assignment, said->report, now, effects);
            }
          }
        }
      }
      cluster.ProxyLoads(ToLoads(request), now, effects);
    });
  }

  std::optional<lrs::LoadStatsResponse> NextMessage() override {
    return std::exchange(settings_, std::nullopt);
  }
  void OnEnd() override {}

  ControlLoop& control_;
  Observations& observations_;
  ProxyId proxy_;
  std::optional<lrs::LoadStatsResponse> settings_;
};

grpc::ServerBidiReactor<lrs::LoadStatsRequest, lrs::LoadStatsResponse>*
LoadService::StreamLoadStats(grpc::CallbackServerContext* /*context*/) {
  auto* stream = new LoadStream(*this);  // deletes itself, see loop_stream.h
  stream->Begin();
  return stream;
}

}  // namespace pando::controller
