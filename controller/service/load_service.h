// Load reports of the proxies (LRS): what they have in flight to each endpoint. A report is handled
// when it comes, so a drain ends as soon as the proxies say that nothing is left.
#pragma once

#include "controller/service/control_loop.h"
#include "controller/service/loop_stream.h"
#include "controller/service/observations.h"
#include "envoy/service/load_stats/v3/lrs.grpc.pb.h"

namespace pando::controller {

class LoadService final
    : public envoy::service::load_stats::v3::LoadReportingService::CallbackService {
 public:
  LoadService(ControlLoop& control, OpenStreams& streams, Observations& observations)
      : control_(control), streams_(streams), observations_(observations) {}

  grpc::ServerBidiReactor<envoy::service::load_stats::v3::LoadStatsRequest,
                          envoy::service::load_stats::v3::LoadStatsResponse>*
  StreamLoadStats(grpc::CallbackServerContext* context) override;

 private:
  class LoadStream;
  ControlLoop& control_;
  OpenStreams& streams_;
  Observations& observations_;
};

}  // namespace pando::controller
