// The core's values as xDS v3 resources, ready to be sent: pure functions.
//
// An app is a Cluster and a ClusterLoadAssignment of its name; a gateway is a Listener and a
// RouteConfiguration of its name. A resource's version is the hash of its bytes, so it stays the
// same over restarts of the controller.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "controller/core/delta_stream.h"
#include "controller/core/model.h"

namespace pando::controller {

using NamedResources = std::map<std::string, ResourceBody>;

struct RoutingResources {
  NamedResources clusters;
  NamedResources listeners;
  NamedResources routes;
};

// Resource type <-> "type.googleapis.com/envoy...".
std::string TypeUrl(ResourceType type);
// "cds", "eds", "lds", "rds": for logs and metric labels.
std::string ShortName(ResourceType type);
// False: not a type we publish.
bool ParseTypeUrl(const std::string& url, ResourceType* type);

ResourceBody ToEndpointsResource(const UpstreamTable& table);
// kInvalidArgument when a client would refuse the result; nothing of it must be published then.
absl::StatusOr<RoutingResources> ToRoutingResources(const RoutingConfig& routing);

}  // namespace pando::controller
