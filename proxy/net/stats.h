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
  // The same object for the same assignment as long as anybody holds it. An instance and the one
  // that replaces it are told apart by it; where the control plane names none it is empty.
  std::shared_ptr<InstanceCounters> ForInstance(const std::string& cluster,
                                                const std::string& instance,
                                                const std::string& assignment);
  // Instances nobody holds any more are forgotten; what they did stays in their cluster's sums.
  void ForgetInstances();

  // Adds this worker's figures to `sum`. Thread-safe.
  void AddTo(std::map<std::string, ClusterStats>& clusters, DataPlaneStats& sum) const;

  Counter accepted;
  Counter active_connections;
  Counter accept_pauses;
  Counter slow_clients;
  Counter bad_requests;
  Counter unrouted;
  TlsCounters tls;

 private:
  struct OfInstance {
    InstanceCounters replaced;  // the sum over its assignments that are gone
    std::map<std::string, std::shared_ptr<InstanceCounters>> assignments;
  };
  struct OfCluster {
    ClusterCounters counters;
    std::map<std::string, OfInstance> instances;
  };

  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<OfCluster>> clusters_;  // both maps: by mutex_
};

}  // namespace pando::proxy
