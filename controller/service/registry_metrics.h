// The controller's metrics that live in the registry: what is counted as it happens.
#pragma once

#include <vector>

#include "common/runtime/metric_definition.h"

namespace pando::controller {

extern const MetricDefinition kEventsTotal;
extern const MetricDefinition kOrdersSentTotal;
extern const MetricDefinition kXdsPushesTotal;
extern const MetricDefinition kXdsNacksTotal;
extern const MetricDefinition kStoreCommitSeconds;

std::vector<MetricDefinition> RegistryMetrics();

}  // namespace pando::controller
