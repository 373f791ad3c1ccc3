// What an apply would do, or did, as lines for people.
#pragma once

#include <string>

#include "pando/v1/admin.pb.h"

namespace pando::ctl {

// An app that is new, a release that differs, another number of replicas.
bool IsPending(const v1::ApplyResponse::App& app);
bool IsPending(const v1::ApplyResponse& plan);

// "web: r41 -> r42  replicas 8 (kept: set by scale, spec says 4)" and, below it, what differs, what
// is done, and what may go wrong; then gateways that change. Every line ends with a newline.
std::string PlanText(const v1::ApplyResponse& plan, bool color);

// "1 app, 2 gateways to change", "nothing to change".
std::string PlanSummary(const v1::ApplyResponse& plan);

}  // namespace pando::ctl
