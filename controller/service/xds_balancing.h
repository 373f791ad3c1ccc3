// How requests are spread, in the words of xDS and, where it has none, in our own.
#pragma once

#include "controller/core/model.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/route/v3/route.pb.h"

namespace pando::controller {

void SetBalancing(const RoutingConfig::AppRoute& app, envoy::config::cluster::v3::Cluster& cluster);
// What makes requests belong together.
void SetHashPolicy(const RoutingConfig::AppRoute& app,
                   envoy::config::route::v3::RouteAction& action);

}  // namespace pando::controller
