// What /metrics says of each instance and of the host, read when somebody scrapes. Collect runs on
// the loop (AdminHttp's handlers do).
#pragma once

#include <prometheus/collectable.h>

#include <vector>

#include "agent/agent_loop.h"
#include "agent/delay_watch.h"
#include "agent/usage_sampler.h"
#include "common/runtime/metric_definition.h"

namespace pando::agent {

class InstanceMetrics final : public prometheus::Collectable {
 public:
  // Both outlive it.
  InstanceMetrics(const AgentLoop& instances, const UsageSampler& usage, const DelayWatch& delays)
      : instances_(instances), usage_(usage), delays_(delays) {}
  std::vector<prometheus::MetricFamily> Collect() const override;

  static std::vector<MetricDefinition> Definitions();

 private:
  const AgentLoop& instances_;
  const UsageSampler& usage_;
  const DelayWatch& delays_;
};

}  // namespace pando::agent
