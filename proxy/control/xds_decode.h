// xDS v3 resources to the proxy's own values, strictly: what this proxy cannot honour is refused
// rather than ignored, in words for the one who wrote it:
//   "cluster web: lb_policy: CLUSTER_PROVIDED is not supported (use LEAST_REQUEST, ...)"
// Tuning hints without a counterpart here (stat_prefix, http2 options, locality weights, metadata
// of others, choice_count) are accepted; fields outside the subset in proto/xds are not seen.
//
// Pure functions. `name` is the resource's name in the response, `any_bytes` a serialized Any.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/core/table_builder.h"
#include "proxy/core/xds_subscription.h"

namespace pando::proxy {

// "type.googleapis.com/envoy..."
std::string TypeUrl(XdsType type);
std::optional<XdsType> ParseTypeUrl(std::string_view url);

absl::StatusOr<ClusterSpec> DecodeCluster(const std::string& name, const std::string& any_bytes);
// HEALTHY and UNKNOWN are healthy, DRAINING draining, TIMEOUT and DEGRADED suspect; UNHEALTHY ones
// are left out. `instance` and `assignment` come from filter_metadata "pando"; counters are null.
absl::StatusOr<std::vector<Endpoint>> DecodeEndpoints(const std::string& name,
                                                      const std::string& any_bytes);
// A listener takes its routes by RDS from the same stream.
absl::StatusOr<Listener> DecodeListener(const std::string& name, const std::string& any_bytes);
// An unset timeout is none (Envoy: 15 s): apps answer long polls.
absl::StatusOr<RouteTable> DecodeRoutes(const std::string& name, const std::string& any_bytes);

}  // namespace pando::proxy
