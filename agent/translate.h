// Between the protocol's messages and the core's values.
#pragma once

#include <string>
#include <vector>

#include "agent/core/assignment.h"
#include "agent/core/instance.h"
#include "pando/v1/agent.pb.h"

namespace pando::agent {

// Assignments whose revision is missing are left out (the controller sends both, always).
std::vector<Assignment> ToAssignments(const v1::Orders& orders);
// The part of the orders that concerns one assignment: kept beside the instance.
v1::Orders Excerpt(const v1::Orders& orders, const std::string& assignment_id);
v1::InstanceStatus ToProto(const InstanceStatus& status);
// "SIGTERM" is 15; unknown names too.
int SignalNumber(const std::string& name);

}  // namespace pando::agent
