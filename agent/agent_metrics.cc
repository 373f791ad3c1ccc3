#include "agent/agent_metrics.h"

#include <string>

namespace pando::agent {
namespace {

using prometheus::MetricType;

const MetricDefinition kStarts{"pando_agent_starts_total", MetricType::Counter, "Apps started", {}};
const MetricDefinition kExits{
    "pando_agent_exits_total", MetricType::Counter, "Apps that ended", {}};
const MetricDefinition kProbes{
    "pando_agent_probes_total", MetricType::Counter, "Health probes made", {}};
const MetricDefinition kProbeFailures{"pando_agent_probe_failures_total",
                                      MetricType::Counter,
                                      "Health probes that failed, those of a start included",
                                      {}};
const MetricDefinition kConnected{"pando_agent_connected",
                                  MetricType::Gauge,
                                  "1 while the agent has a session with the controller",
                                  {}};
const MetricDefinition kSpawnSeconds{"pando_agent_spawn_seconds",
                                     MetricType::Histogram,
                                     "From the decision to start an app to its process",
                                     {}};
const MetricDefinition kInstances{
    "pando_agent_instances", MetricType::Gauge, "Instances on this node by phase", {"phase"}};

const MetricDefinition kPages{"pando_agent_app_pages_total",
                              MetricType::Counter,
                              "Pages of instances' own metrics (metrics.path) asked for the delay "
                              "of their event loops: read, or failed",
                              {"result"}};

}  // namespace

std::vector<MetricDefinition> AgentMetrics::Definitions() {
  std::vector<MetricDefinition> all = {kInstances,     kStarts,       kExits, kProbes,
                                       kProbeFailures, kSpawnSeconds, kPages, kConnected};
  for (const MetricDefinition& one : ArtifactMetrics::Definitions()) all.push_back(one);
  return all;
}

AgentMetrics::AgentMetrics(Metrics& metrics)
    : artifacts(metrics),
      starts_total(AddCounter(metrics, kStarts)),
      exits_total(AddCounter(metrics, kExits)),
      probes_total(AddCounter(metrics, kProbes)),
      probe_failures_total(AddCounter(metrics, kProbeFailures)),
      connected(AddGauge(metrics, kConnected)),
      spawn_seconds(AddHistogram(metrics, kSpawnSeconds,
                                 {0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1})),
      pages_read_(AddCounterFamily(metrics, kPages).Add({{"result", "read"}})),
      pages_failed_(AddCounterFamily(metrics, kPages).Add({{"result", "failed"}})),
      instances_(AddGaugeFamily(metrics, kInstances)) {
  for (Phase phase : {Phase::kStarting, Phase::kReady, Phase::kUnhealthy, Phase::kBackoff,
                      Phase::kStopping, Phase::kFailed, Phase::kPreparing}) {
    instances_.Add({{"phase", std::string(PhaseName(phase))}});
  }
}

void AgentMetrics::SetPhase(const AssignmentId& id, Phase phase) {
  Forget(id);
  phases_[id] = phase;
  instances_.Add({{"phase", std::string(PhaseName(phase))}}).Increment();
}

void AgentMetrics::Forget(const AssignmentId& id) {
  const auto it = phases_.find(id);
  if (it == phases_.end()) return;
  instances_.Add({{"phase", std::string(PhaseName(it->second))}}).Decrement();
  phases_.erase(it);
}

}  // namespace pando::agent
