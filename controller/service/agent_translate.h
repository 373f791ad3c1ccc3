// The agent protocol's messages as the core's values, and back.
#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "controller/core/cluster.h"
#include "controller/core/model.h"
#include "pando/v1/agent.pb.h"

namespace pando::controller {

namespace v1 = ::pando::v1;

// kInvalidArgument names what is missing.
absl::StatusOr<NodeHello> ToNodeHello(const v1::Hello& hello);
// nullopt: nothing that could be used (no id, an unknown phase).
std::optional<InstanceReport> ToInstanceReport(const v1::InstanceStatus& status);

// Without term, version and cluster. Every revision the assignments refer to is in it once.
v1::Orders ToOrders(const NodeOrders& orders, const Cluster& cluster);

}  // namespace pando::controller
