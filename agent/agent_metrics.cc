#include "agent/agent_metrics.h"

#include <string>

namespace pando::agent {
namespace {

prometheus::Counter& AddCounter(Metrics& metrics, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(metrics.registry()).Add({});
}

}  // namespace

AgentMetrics::AgentMetrics(Metrics& metrics)
    : starts_total(AddCounter(metrics, "pando_agent_starts_total", "Apps started")),
      exits_total(AddCounter(metrics, "pando_agent_exits_total", "Apps that ended")),
      probe_failures_total(AddCounter(metrics, "pando_agent_probe_failures_total",
                                      "Health probes that failed, those of a start included")),
      connected(prometheus::BuildGauge()
                    .Name("pando_agent_connected")
                    .Help("1 while the agent has a session with the controller")
                    .Register(metrics.registry())
                    .Add({})),
      spawn_seconds(
          prometheus::BuildHistogram()
              .Name("pando_agent_spawn_seconds")
              .Help("From the decision to start an app to its process")
              .Register(metrics.registry())
              .Add({}, prometheus::Histogram::BucketBoundaries{0.001, 0.002, 0.005, 0.01, 0.025,
                                                               0.05, 0.1, 0.25, 1})),
      instances_(prometheus::BuildGauge()
                     .Name("pando_agent_instances")
                     .Help("Instances on this node by phase")
                     .Register(metrics.registry())) {
  for (Phase phase : {Phase::kStarting, Phase::kReady, Phase::kUnhealthy, Phase::kBackoff,
                      Phase::kStopping, Phase::kFailed}) {
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
