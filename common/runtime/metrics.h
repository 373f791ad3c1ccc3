// The process's metrics: a prometheus-cpp registry with build and process figures in it.
// Registering and updating metrics is thread-safe (prometheus-cpp).
#pragma once

#include <memory>
#include <string>

#include <prometheus/registry.h>

namespace pando {

class Metrics {
 public:
  // `program` becomes the label of pando_build_info.
  explicit Metrics(const std::string& program);

  prometheus::Registry& registry() { return *registry_; }
  void AddCollectable(std::weak_ptr<prometheus::Collectable> collectable);

  // Prometheus text format 0.0.4 of all registered metrics, process metrics (rss, cpu, fds, start
  // time) read at the call.
  std::string Serialize() const;

 private:
  std::shared_ptr<prometheus::Registry> registry_;
  std::vector<std::weak_ptr<prometheus::Collectable>> collectables_;
};

}  // namespace pando
