// What an apply is about to do, or has done, for people: the differences, the steps, and whose
// number of replicas holds. Pure.
#pragma once

#include <string>

#include "controller/core/cluster.h"
#include "pando/v1/admin.pb.h"
#include "pando/v1/spec.pb.h"

namespace pando::controller {

namespace v1 = ::pando::v1;

// `before` is the app as it was; nullptr: there was none.
v1::ApplyResponse::App DescribeApp(const ApplyOutcome& outcome, const AppStatus* before,
                                   const v1::AppSpec& spec);
// Likewise.
v1::ApplyResponse::GatewayPlan DescribeGateway(const Gateway* before, const v1::Gateway& spec);

// Equal gateways have equal fingerprints; never 0.
uint64_t FingerprintOf(const Gateway& gateway);

}  // namespace pando::controller
