#include "controller/service/artifact_metrics.h"

#include <string>

namespace pando::controller {
namespace {

using prometheus::MetricType;

const MetricDefinition kRunning{"pando_artifact_transfers",
                                MetricType::Gauge,
                                "Artifacts being uploaded by ctl and fetched by agents now",
                                {"direction"}};
const MetricDefinition kTransfers{
    "pando_artifact_transfers_total",
    MetricType::Counter,
    "Uploads and fetches that ended: done, cut (they can be gone on with) or refused",
    {"direction", "result"}};
const MetricDefinition kBytes{"pando_artifact_transfer_bytes_total",
                              MetricType::Counter,
                              "Bytes of artifacts that came by uploads and went by fetches",
                              {"direction"}};

std::string NameOf(TransferMetrics::Direction direction) {
  return direction == TransferMetrics::Direction::kUpload ? "upload" : "fetch";
}

prometheus::Counter& AddResult(Metrics& metrics, TransferMetrics::Direction direction,
                               const char* result) {
  return AddCounterFamily(metrics, kTransfers)
      .Add({{"direction", NameOf(direction)}, {"result", result}});
}

}  // namespace

std::vector<MetricDefinition> TransferMetrics::Definitions() {
  return {kRunning, kTransfers, kBytes};
}

TransferMetrics::TransferMetrics(Metrics& metrics, Direction direction)
    : running_(AddGaugeFamily(metrics, kRunning).Add({{"direction", NameOf(direction)}})),
      bytes_(AddCounterFamily(metrics, kBytes).Add({{"direction", NameOf(direction)}})),
      done_(AddResult(metrics, direction, "done")),
      cut_(AddResult(metrics, direction, "cut")),
      refused_(AddResult(metrics, direction, "refused")) {}

void TransferMetrics::End(const absl::Status& status) {
  running_.Decrement();
  if (status.ok()) {
    done_.Increment();
  } else if (absl::IsCancelled(status) || absl::IsAborted(status)) {
    cut_.Increment();
  } else {
    refused_.Increment();
  }
}

}  // namespace pando::controller
