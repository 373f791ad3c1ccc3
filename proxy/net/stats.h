// All of one worker's counters: of the worker, of each cluster, of each instance in its table.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "proxy/core/traffic_stats.h"
#include "proxy/net/counters.h"

namespace pando::proxy {

class WorkerStats {
 public:
  // The same object for the same name, for the worker's life.
  ClusterCounters& ForCluster(const std::string& name);
  // The same object for the same name as long as anybody holds it.
  std::shared_ptr<InstanceCounters> ForInstance(const std::string& cluster,
                                                const std::string& instance);
  // Instances nobody holds any more are forgotten; what they did stays in their cluster's sums.
  void ForgetInstances();

  // Adds this worker's figures to `sum`. Thread-safe.
  void AddTo(std::map<std::string, ClusterStats>& clusters, DataPlaneStats& sum) const;

  Counter accepted;
  Counter active_connections;
  Counter accept_pauses;
  Counter bad_requests;
  Counter unrouted;

 private:
  struct OfCluster {
    ClusterCounters counters;
    std::map<std::string, std::shared_ptr<InstanceCounters>> instances;
  };

  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<OfCluster>> clusters_;  // both maps: by mutex_
};

}  // namespace pando::proxy
