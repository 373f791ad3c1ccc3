// Gauges of the cluster's state, read from it when somebody scrapes: nothing to keep in step.
// Collect runs on the loop (AdminHttp's handlers do).
#pragma once

#include <prometheus/collectable.h>

#include <vector>

#include "controller/service/control_loop.h"

namespace pando::controller {

class ClusterMetrics final : public prometheus::Collectable {
 public:
  explicit ClusterMetrics(const ControlLoop& control, const Executor& loop)
      : control_(control), loop_(loop) {}
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const ControlLoop& control_;
  const Executor& loop_;
};

}  // namespace pando::controller
