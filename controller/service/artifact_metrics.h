// The artifacts' transfers on /metrics: uploads by ctl, fetches by agents.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "common/runtime/metric_definition.h"
#include "common/runtime/metrics.h"

namespace pando::controller {

// Thread-safe.
class TransferMetrics {
 public:
  enum class Direction { kUpload, kFetch };

  TransferMetrics(Metrics& metrics, Direction direction);

  static std::vector<MetricDefinition> Definitions();

  void Begin() { running_.Increment(); }
  void CountBytes(uint64_t bytes) { bytes_.Increment(static_cast<double>(bytes)); }
  // kCancelled and kAborted: the peer went, or came again on another connection.
  void End(const absl::Status& status);

 private:
  prometheus::Gauge& running_;
  prometheus::Counter& bytes_;
  prometheus::Counter& done_;
  prometheus::Counter& cut_;
  prometheus::Counter& refused_;
};

}  // namespace pando::controller
