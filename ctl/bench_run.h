// Drives the load `ctl bench` was asked for: open-loop, so a slow server does not slow down what it
// is asked, and bounded: it ends at its duration plus one timeout at the latest.
#pragma once

#include <functional>

#include "absl/status/statusor.h"
#include "ctl/bench_plan.h"

namespace pando::ctl {

// Blocks until it is over. `progress` is called about once a second with what came of it so far.
// Error: the host cannot be resolved.
absl::StatusOr<BenchResult> RunBench(
    const BenchPlan& plan, const std::function<void(const BenchResult&)>& progress = nullptr);

}  // namespace pando::ctl
