#include "proxy/net/stats.h"

#include <algorithm>

namespace pando::proxy {
namespace {

void AddTo(HistogramStats& to, const Histogram& from) {
  to.buckets.resize(kLatencyBuckets);
  for (size_t i = 0; i < kLatencyBuckets; ++i) to.buckets[i] += from.buckets[i].value();
  to.sum_seconds += static_cast<double>(from.sum_micros.value()) / 1e6;
}

void AddTo(TimingStats& to, const TimingCounters& from) {
  AddTo(to.connect, from.connect);
  AddTo(to.first_byte, from.first_byte);
  AddTo(to.total, from.total);
}

template <size_t N>
void AddTo(uint64_t (&to)[N], const std::array<Counter, N>& from) {
  for (size_t i = 0; i < N; ++i) to[i] += from[i].value();
}

void AddTo(QueueStats& to, const QueueCounters& from) {
  to.waiting += from.waiting.value();
  to.queued_total += from.queued.value();
  to.full_total += from.full.value();
  to.timeouts_total += from.timeouts.value();
  to.abandoned_total += from.abandoned.value();
  AddTo(to.wait, from.wait);
}

void AddTo(InstanceStats& to, const InstanceCounters& from) {
  AddTo(to.responses_by_class, from.responses_by_class);
  to.failures_total += from.failures.value();
  to.ejections_total += from.ejections.value();
  to.request_bytes_total += from.request_bytes.value();
  to.response_bytes_total += from.response_bytes.value();
  AddTo(to.timing, from.timing);
}

// An instance's share of its cluster's sums.
void AddTo(ClusterStats& to, const InstanceCounters& from) {
  AddTo(to.responses_by_class, from.responses_by_class);
  to.ejections_total += from.ejections.value();
  to.request_bytes_total += from.request_bytes.value();
  to.response_bytes_total += from.response_bytes.value();
  AddTo(to.timing, from.timing);
}

void AddTo(ClusterStats& to, const ClusterCounters& from) {
  AddTo(to.responses_by_class, from.responses_by_class);
  AddTo(to.timing.total, from.total);
  to.retries_total += from.retries.value();
  to.no_endpoint_total += from.no_endpoint.value();
  to.upstream_failures_total += from.upstream_failures.value();
  to.cut_responses_total += from.cut_responses.value();
  to.connects_total += from.connects.value();
  to.connect_failures_total += from.connect_failures.value();
  AddTo(to.queue, from.queue);
  AddTo(to, from.departed);
}

// Sorted by name, as the workers' maps are.
InstanceStats& Find(std::vector<InstanceStats>& instances, const std::string& name) {
  const auto at = std::lower_bound(instances.begin(), instances.end(), name,
                                   [](const InstanceStats& instance, const std::string& key) {
                                     return instance.instance < key;
                                   });
  if (at != instances.end() && at->instance == name) return *at;
  InstanceStats& added = *instances.emplace(at);
  added.instance = name;
  return added;
}

}  // namespace

ClusterCounters& WorkerStats::ForCluster(const std::string& name) {
  std::lock_guard lock(mutex_);
  std::unique_ptr<OfCluster>& cluster = clusters_[name];
  if (cluster == nullptr) cluster = std::make_unique<OfCluster>();
  return cluster->counters;
}

std::shared_ptr<InstanceCounters> WorkerStats::ForInstance(const std::string& cluster,
                                                           const std::string& instance,
                                                           const std::string& assignment) {
  std::lock_guard lock(mutex_);
  std::unique_ptr<OfCluster>& of_cluster = clusters_[cluster];
  if (of_cluster == nullptr) of_cluster = std::make_unique<OfCluster>();
  std::shared_ptr<InstanceCounters>& counters =
      of_cluster->instances[instance].assignments[assignment];
  if (counters == nullptr) counters = std::make_shared<InstanceCounters>(instance);
  return counters;
}

void WorkerStats::ForgetInstances() {
  std::lock_guard lock(mutex_);
  for (auto& entry : clusters_) {
    OfCluster& cluster = *entry.second;
    for (auto it = cluster.instances.begin(); it != cluster.instances.end();) {
      OfInstance& instance = it->second;
      std::erase_if(instance.assignments, [&instance](const auto& assignment) {
        if (assignment.second.use_count() > 1) return false;
        instance.replaced.Add(*assignment.second);
        return true;
      });
      if (!instance.assignments.empty()) {
        ++it;
        continue;
      }
      cluster.counters.departed.Add(instance.replaced);
      it = cluster.instances.erase(it);
    }
  }
}

void WorkerStats::AddTo(std::map<std::string, ClusterStats>& clusters, DataPlaneStats& sum) const {
  sum.connections_accepted_total += accepted.value();
  sum.connections_active += active_connections.value();
  sum.accept_pauses_total += accept_pauses.value();
  sum.slow_clients_total += slow_clients.value();
  sum.bad_requests_total += bad_requests.value();
  sum.unrouted_total += unrouted.value();
  sum.tls_handshakes_total += tls.handshakes.value();
  sum.tls_resumed_total += tls.resumed.value();
  sum.tls_failures_total += tls.failures.value();
  std::lock_guard lock(mutex_);
  for (const auto& [name, from] : clusters_) {
    ClusterStats& to = clusters[name];
    to.cluster = name;
    proxy::AddTo(to, from->counters);
    for (const auto& [instance, of_instance] : from->instances) {
      proxy::AddTo(to, of_instance.replaced);
      InstanceStats& all = Find(to.instances, instance);
      proxy::AddTo(all, of_instance.replaced);
      for (const auto& [assignment, counters] : of_instance.assignments) {
        proxy::AddTo(to, *counters);
        proxy::AddTo(all, *counters);
        if (!assignment.empty()) proxy::AddTo(Find(to.assignments, assignment), *counters);
      }
    }
    // Requests are counted once, in the class of their answer.
    to.requests_total = 0;
    for (const uint64_t count : to.responses_by_class) to.requests_total += count;
  }
}

}  // namespace pando::proxy
