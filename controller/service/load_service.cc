#include "controller/service/load_service.h"

#include <optional>
#include <utility>

#include "controller/service/load_note.h"

namespace pando::controller {
namespace {

namespace lrs = ::envoy::service::load_stats::v3;
namespace endpoint = ::envoy::config::endpoint::v3;

struct InFlight {
  AssignmentId assignment;
  uint64_t requests = 0;
  bool draining = false;
};

// What Pando's proxy says of an endpoint in the report's metadata; other clients say nothing.
std::optional<InFlight> ToInFlight(const endpoint::UpstreamEndpointStats& stats) {
  const auto& fields = stats.metadata().fields();
  const auto assignment = fields.find("assignment");
  if (assignment == fields.end() || assignment->second.string_value().empty()) return std::nullopt;
  const auto draining = fields.find("draining");
  return InFlight{{assignment->second.string_value()},
                  stats.total_requests_in_progress(),
                  draining != fields.end() && draining->second.bool_value()};
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
            if (const auto load = ToInFlight(of_endpoint)) {
              cluster.ProxyInFlight(proxy_, load->assignment, load->requests, load->draining, now,
                                    effects);
            }
          }
        }
      }
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
