// What each instance did since the last load report, for LRS: requests by outcome, and latencies as
// named metrics "pando.latency.<upper bound in seconds, or inf>" with the number of requests in the
// class. Requests waiting for an instance are "pando.queued" of their cluster. Pure.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "envoy/config/endpoint/v3/endpoint.pb.h"
#include "proxy/core/traffic_stats.h"

namespace pando::proxy {

class TrafficReport {
 public:
  // What happened up to now is nobody's business any more.
  void Begin(const DataPlaneStats& stats);
  // From here on Fill tells of the time since the last call of Next or Begin.
  void Next(const DataPlaneStats& stats);

  // `instance` is an assignment, or an instance's name where there is none.
  void FillInstance(const std::string& cluster, const std::string& instance,
                    envoy::config::endpoint::v3::UpstreamEndpointStats& into) const;
  void FillCluster(const std::string& cluster,
                   envoy::config::endpoint::v3::UpstreamLocalityStats& into) const;

 private:
  struct Now {
    std::map<std::pair<std::string, std::string>, InstanceStats> instances;
    std::map<std::string, uint64_t> queued;
  };
  static Now Read(const DataPlaneStats& stats);

  Now before_;
  Now now_;
};

}  // namespace pando::proxy
