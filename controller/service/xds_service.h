// ADS: publishes the upstream tables and the routing to proxies, and tells the control loop what
// they acknowledged. Delta (incremental) streams only; which resource is sent when is decided by
// DeltaStream. All but the RPC methods runs on the loop.
#pragma once

#include <prometheus/counter.h>

#include <array>
#include <map>
#include <set>
#include <string>

#include "common/runtime/metrics.h"
#include "controller/core/delta_stream.h"
#include "controller/service/control_loop.h"
#include "controller/service/loop_stream.h"
#include "controller/service/observations.h"
#include "controller/service/xds_translate.h"
#include "envoy/service/discovery/v3/discovery.grpc.pb.h"

namespace pando::controller {

class XdsService final
    : public envoy::service::discovery::v3::AggregatedDiscoveryService::CallbackService {
 public:
  XdsService(ControlLoop& control, OpenStreams& streams, Observations& observations,
             Metrics& metrics);
  ~XdsService() override;

  grpc::ServerBidiReactor<envoy::service::discovery::v3::DeltaDiscoveryRequest,
                          envoy::service::discovery::v3::DeltaDiscoveryResponse>*
  DeltaAggregatedResources(grpc::CallbackServerContext* context) override;
  // Refused: a proxy must be able to say what it already has.
  grpc::ServerBidiReactor<envoy::service::discovery::v3::DiscoveryRequest,
                          envoy::service::discovery::v3::DiscoveryResponse>*
  StreamAggregatedResources(grpc::CallbackServerContext* context) override;

  // Sent to all streams before the loop does anything else that is posted later; several calls in
  // a row are one round.
  void PublishTable(const UpstreamTable& table);
  void RemoveTable(const AppId& app);
  void PublishRouting(const RoutingConfig& routing);

 private:
  class DeltaSession;

  void Replace(ResourceType type, NamedResources&& resources);
  void FlushSoon();

  ControlLoop& control_;
  OpenStreams& streams_;
  Observations& observations_;
  prometheus::Family<prometheus::Counter>& pushes_;
  prometheus::Counter& nacks_total_;
  std::array<prometheus::Counter*, 4> pushes_total_{};  // by ResourceType
  ResourceSet resources_;
  std::set<DeltaSession*> sessions_;
  std::map<ProxyId, DeltaSession*> current_;  // the newest stream of each proxy
  bool flush_posted_ = false;
};

}  // namespace pando::controller
