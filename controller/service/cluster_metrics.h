// Gauges of the cluster's state, read from it when somebody scrapes: nothing to keep in step.
// Collect runs on the loop (AdminHttp's handlers do).
#pragma once

#include <prometheus/collectable.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/runtime/metric_definition.h"
#include "controller/service/artifact_store.h"
#include "controller/service/control_loop.h"
#include "controller/service/observations.h"

namespace pando::controller {

class ClusterMetrics final : public prometheus::Collectable {
 public:
  struct Parts {
    const ControlLoop& control;
    Observations& observations;
    const Executor& loop;
    std::function<uint64_t()> store_bytes;
    std::function<std::map<std::string, size_t>()> streams;  // open now, by service
    std::function<ArtifactStore::Totals()> artifacts;
  };

  explicit ClusterMetrics(Parts parts) : parts_(std::move(parts)) {}
  std::vector<prometheus::MetricFamily> Collect() const override;

  static std::vector<MetricDefinition> Definitions();

 private:
  Parts parts_;
};

// Everything the controller exposes beyond CommonMetrics().
std::vector<MetricDefinition> ControllerMetrics();

}  // namespace pando::controller
