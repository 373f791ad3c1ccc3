// The agent's own figures on /metrics.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include <map>
#include <vector>

#include "agent/artifact_metrics.h"
#include "agent/core/phase.h"
#include "common/base/ids.h"
#include "common/runtime/metric_definition.h"
#include "common/runtime/metrics.h"

namespace pando::agent {

// Used on the loop.
class AgentMetrics {
 public:
  explicit AgentMetrics(Metrics& metrics);

  static std::vector<MetricDefinition> Definitions();

  // Of an app's page for Prometheus. Thread-safe.
  void CountPage(bool read) { (read ? pages_read_ : pages_failed_).Increment(); }

  void SetPhase(const AssignmentId& id, Phase phase);
  void Forget(const AssignmentId& id);

  ArtifactMetrics artifacts;
  prometheus::Counter& starts_total;
  prometheus::Counter& exits_total;
  prometheus::Counter& probes_total;
  prometheus::Counter& probe_failures_total;
  prometheus::Gauge& connected;
  prometheus::Histogram& spawn_seconds;

 private:
  prometheus::Counter& pages_read_;
  prometheus::Counter& pages_failed_;
  prometheus::Family<prometheus::Gauge>& instances_;
  std::map<AssignmentId, Phase> phases_;
};

}  // namespace pando::agent
