// The process's metrics: a prometheus-cpp registry with build and process figures in it.
// Registering and updating metrics is thread-safe (prometheus-cpp).
#pragma once

#include <prometheus/registry.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace pando {

// Prometheus text format 0.0.4. prometheus-cpp's own serializer writes numbers through streams,
// which takes most of the time of a scrape with many series.
std::string SerializeMetrics(const std::vector<prometheus::MetricFamily>& families);

class Metrics {
 public:
  // `program` becomes the label of pando_build_info. Of the file system of `data_dir`, unless that
  // is empty, size and room are told.
  explicit Metrics(const std::string& program, std::string data_dir = "");

  prometheus::Registry& registry() { return *registry_; }
  void AddCollectable(std::weak_ptr<prometheus::Collectable> collectable);

  // All registered metrics, and process metrics (rss, cpu, fds, start time) read at the call:
  // CommonMetrics() in metric_definition.h. Thread-safe.
  std::string Serialize() const;

 private:
  const std::string data_dir_;
  std::shared_ptr<prometheus::Registry> registry_;
  mutable absl::Mutex mutex_;
  std::vector<std::weak_ptr<prometheus::Collectable>> collectables_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace pando
