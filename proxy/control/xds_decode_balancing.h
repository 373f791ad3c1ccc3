// What a cluster says of how requests are spread over its endpoints, and a route of what makes
// requests belong together. Used by DecodeCluster and DecodeRoutes alone.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/route/v3/route.pb.h"
#include "proxy/core/upstream_table.h"

namespace pando::proxy {

absl::Status ReadBalancing(const envoy::config::cluster::v3::Cluster& from, ClusterOptions& result);

// `field` is where the action is.
absl::Status ReadHashPolicy(const std::string& field,
                            const envoy::config::route::v3::RouteAction& from, HashSource& result);

}  // namespace pando::proxy
