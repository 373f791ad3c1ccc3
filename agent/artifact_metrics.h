// What the agent's artifacts cost, on /metrics.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "common/base/time.h"
#include "common/runtime/metric_definition.h"
#include "common/runtime/metrics.h"

namespace pando::agent {

// Thread-safe.
class ArtifactMetrics {
 public:
  explicit ArtifactMetrics(Metrics& metrics);

  static std::vector<MetricDefinition> Definitions();

  // One call to the controller, to its end.
  void CountFetch(const absl::Status& status);
  void CountFetchedBytes(uint64_t bytes) { fetched_bytes_.Increment(static_cast<double>(bytes)); }
  // One install step, to its end.
  void CountInstall(const absl::Status& status, Millis took);
  // The trees there are, as unpacked and installed.
  void SetKept(size_t artifacts, uint64_t bytes);

 private:
  struct Results {
    prometheus::Counter& done;
    prometheus::Counter& failed;
    prometheus::Counter& cut;      // to be tried again as it is
    prometheus::Counter& stopped;  // nobody waited for it any more
  };
  static Results MakeResults(Metrics& metrics, const MetricDefinition& definition);
  static void Count(const absl::Status& status, Results& results);

  Results fetches_;
  Results installs_;
  prometheus::Counter& fetched_bytes_;
  prometheus::Histogram& install_seconds_;
  prometheus::Gauge& kept_;
  prometheus::Gauge& kept_bytes_;
};

}  // namespace pando::agent
