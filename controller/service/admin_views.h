// What the Admin API shows, from the core's values.
#pragma once

#include <string>

#include "controller/service/control_loop.h"
#include "pando/v1/admin.pb.h"

namespace pando::controller {

namespace v1 = ::pando::v1;

// `app` empty: all apps and their instances. Nodes, proxies and gateways are always all.
v1::ClusterView ToClusterView(const ControlLoop& control, const AppId& app, Instant now,
                              WallTime wall_now);
v1::ChangeResponse ToChangeResponse(const ChangeOutcome& outcome);
v1::Event ToEvent(const v1::EventRecord& record);

// The words of NodeView.state and ProxyView.state.
std::string NodeStateName(NodeState state);
std::string ProxyStateName(const ProxyStatus& proxy);

// The app meant by an argument that may be empty. kNotFound and kInvalidArgument say which exist.
absl::StatusOr<AppId> ResolveApp(const Cluster& cluster, const std::string& name);

}  // namespace pando::controller
