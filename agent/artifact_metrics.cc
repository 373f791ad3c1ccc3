#include "agent/artifact_metrics.h"

#include <chrono>

namespace pando::agent {
namespace {

using prometheus::MetricType;

const MetricDefinition kFetches{
    "pando_agent_artifact_fetches_total",
    MetricType::Counter,
    "Fetches of artifacts from the controller: done, failed, cut (and gone on with later), or "
    "stopped since nobody needed it any more",
    {"result"}};
const MetricDefinition kFetchedBytes{"pando_agent_artifact_fetched_bytes_total",
                                     MetricType::Counter,
                                     "Bytes of artifacts that came from the controller",
                                     {}};
const MetricDefinition kInstalls{"pando_agent_install_steps_total",
                                 MetricType::Counter,
                                 "Install steps that ended: done, failed, cut (the node could not "
                                 "run it), or stopped since nobody needed it any more",
                                 {"result"}};
const MetricDefinition kInstallSeconds{"pando_agent_install_seconds",
                                       MetricType::Histogram,
                                       "Time of an install step that was not stopped",
                                       {}};
const MetricDefinition kKept{"pando_agent_artifacts",
                             MetricType::Gauge,
                             "Artifacts that are ready on the node, needed or not",
                             {}};
const MetricDefinition kKeptBytes{"pando_agent_artifact_bytes",
                                  MetricType::Gauge,
                                  "Contents of the files of these, unpacked and installed",
                                  {}};

}  // namespace

std::vector<MetricDefinition> ArtifactMetrics::Definitions() {
  return {kKept, kKeptBytes, kFetches, kFetchedBytes, kInstalls, kInstallSeconds};
}

ArtifactMetrics::ArtifactMetrics(Metrics& metrics)
    : fetches_(MakeResults(metrics, kFetches)),
      installs_(MakeResults(metrics, kInstalls)),
      fetched_bytes_(AddCounter(metrics, kFetchedBytes)),
      install_seconds_(
          AddHistogram(metrics, kInstallSeconds, {0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600})),
      kept_(AddGauge(metrics, kKept)),
      kept_bytes_(AddGauge(metrics, kKeptBytes)) {}

ArtifactMetrics::Results ArtifactMetrics::MakeResults(Metrics& metrics,
                                                      const MetricDefinition& definition) {
  auto& family = AddCounterFamily(metrics, definition);
  return {family.Add({{"result", "done"}}), family.Add({{"result", "failed"}}),
          family.Add({{"result", "cut"}}), family.Add({{"result", "stopped"}})};
}

void ArtifactMetrics::Count(const absl::Status& status, Results& results) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return results.done.Increment();
    case absl::StatusCode::kUnavailable:
      return results.cut.Increment();
    case absl::StatusCode::kCancelled:
      return results.stopped.Increment();
    default:
      return results.failed.Increment();
  }
}

void ArtifactMetrics::CountFetch(const absl::Status& status) { Count(status, fetches_); }

void ArtifactMetrics::CountInstall(const absl::Status& status, Millis took) {
  Count(status, installs_);
  if (absl::IsCancelled(status)) return;
  install_seconds_.Observe(std::chrono::duration<double>(took).count());
}

void ArtifactMetrics::SetKept(size_t artifacts, uint64_t bytes) {
  kept_.Set(static_cast<double>(artifacts));
  kept_bytes_.Set(static_cast<double>(bytes));
}

}  // namespace pando::agent
