// One thread of the data plane: its poller, its sessions, its upstream pool, its view of the
// newest table. Nothing here is shared with other workers but the endpoints' in-flight counters.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "proxy/core/picker.h"
#include "proxy/core/random.h"
#include "proxy/core/route.h"
#include "proxy/core/upstream_table.h"
#include "proxy/net/access_log.h"
#include "proxy/net/data_plane.h"
#include "proxy/net/forwarder.h"
#include "proxy/net/h1_session.h"
#include "proxy/net/listener.h"
#include "proxy/net/poller.h"
#include "proxy/net/shared_cluster.h"
#include "proxy/net/stats.h"
#include "proxy/net/tls_channel.h"
#include "proxy/net/upstream_pool.h"

namespace pando::proxy {

// A table with what all workers derive from it.
using TlsContexts = std::map<ListenAddress, std::shared_ptr<const TlsContext>>;

struct CompiledTable {
  explicit CompiledTable(std::shared_ptr<const ProxyTable> from);
  std::shared_ptr<const ProxyTable> table;
  std::map<std::string, RouteIndex> routes;
  TlsContexts tls;
  std::map<std::string, std::shared_ptr<SharedCluster>> shared;  // of each cluster
};

// A cluster as one worker balances over it.
struct WorkerCluster {
  WorkerCluster(std::shared_ptr<const Cluster> from, uint64_t seed, ClusterCounters& stats,
                std::shared_ptr<SharedCluster> of_all, std::vector<Instant> ready_since)
      : cluster(std::move(from)),
        picker(cluster, seed, std::move(ready_since)),
        counters(stats),
        shared(std::move(of_all)) {}

  bool limits_slots() const { return LimitsSlots(*cluster); }
  // Of the endpoint with these counters; nullopt when it is not there or drains.
  std::optional<uint32_t> IndexOf(const EndpointCounters& endpoint) const;

  std::shared_ptr<const Cluster> cluster;
  ClusterPicker picker;
  ClusterCounters& counters;
  std::shared_ptr<SharedCluster> shared;
  std::vector<UpstreamHost*> hosts;  // per endpoint; null for those that drain
  Instant suspicion_until{};         // some host may be under suspicion until then
  Instant next_stall_check{};
};

class Worker {
 public:
  // `index` tells it from the data plane's other workers.
  Worker(const DataPlaneConfig& config, size_t index, uint64_t seed,
         const std::function<void()>& drained);
  ~Worker();

  void SetAccessLog(AccessLog* log) { access_log_ = log; }  // before Start; outlives it
  // All workers of the data plane, this one included; before Start.
  using Peers = std::vector<std::unique_ptr<Worker>>;
  void SetPeers(const Peers& peers) { peers_ = &peers; }
  absl::Status Start();
  void Stop();  // joins the thread

  // The rest is called on the worker's thread, by tasks given to Post.
  void Post(Poller::Task task) { poller_.Post(std::move(task)); }
  void ApplyTable(std::shared_ptr<const CompiledTable> table);
  // For connections accepted from here on.
  void SetCertificates(const TlsContexts& contexts);
  void StartListening(const Listener& listener, UniqueFd fd);
  // Accepts no more; `idle` is called when no client is left, now or later.
  void Drain(const DrainPlan& plan, std::function<void()> idle);
  // Leaves only tunnels.
  void CutRequests();
  void RunAfter(Millis delay, std::function<void()> task);

  void AddTo(std::map<std::string, ClusterStats>& clusters, DataPlaneStats& sum) const {
    stats_.AddTo(clusters, sum);
  }

  // For listeners, sessions and exchanges.
  const DataPlaneConfig& config() const { return config_; }
  Poller& poller() { return poller_; }
  UpstreamPool& pool() { return pool_; }
  WorkerStats& stats() { return stats_; }
  TlsWorker& tls() { return tls_; }
  AccessLog* access_log() { return access_log_; }  // null: requests are not logged
  size_t index() const { return index_; }
  bool draining() const { return draining_; }
  // How long a drain waits for one more request of an idle connection.
  Millis drain_idle() const { return drain_idle_; }
  std::shared_ptr<WorkerCluster> FindCluster(const std::string& name) const;
  FastRandom& random() { return random_; }
  // The head being looked at; its vectors are reused.
  RequestHead& request_head() { return request_head_; }
  ResponseHead& response_head() { return response_head_; }
  std::string& scratch() { return scratch_; }            // a head being written
  std::string& body_scratch() { return body_scratch_; }  // a payload without its chunks
  std::vector<uint8_t>& avoid_scratch() { return avoid_scratch_; }

  void Accept(UniqueFd fd, const ListenerState& listener, const SocketAddress& peer);
  void Remove(H1Session& session);
  std::unique_ptr<Exchange> TakeExchange();
  void GiveBack(std::unique_ptr<Exchange> exchange);
  // Nothing is in flight any more, by any worker, to a host this worker will not pick.
  void NoteDrained() { drained_noted_ = true; }

  // -- balancing, for exchanges --
  // What is to be avoided, by this worker's own evidence and by what all have seen.
  ClusterPicker::Context PickContext(const WorkerCluster& cluster);
  uint64_t NewTicket(Exchange& exchange);
  void ForgetTicket(uint64_t ticket) { tickets_.erase(ticket); }
  // Calls those who wait, each by what it is to be picked by, as long as there is room for any.
  void ServeQueue(WorkerCluster& cluster);
  // While there are requests, limits and instances are looked after.
  void StartChecks();

 private:
  class TaskTimer;

  // A request with one of this worker's tickets is called, by any worker; to no endpoint when none
  // is left that it may go to.
  void Call(uint64_t ticket, std::shared_ptr<EndpointCounters> endpoint,
            const std::shared_ptr<SharedCluster>& shared, const std::string& cluster);
  // A slot for a request that waits; `endpoint` is null with kCall when it has tried them all.
  static WaitingRoom::Verdict FindRoom(WorkerCluster& cluster,
                                       const ClusterPicker::Context& context,
                                       std::shared_ptr<EndpointCounters>& endpoint);
  void Check();
  void AvoidStalled(WorkerCluster& cluster, Instant now);
  std::vector<Instant> ReadySince(const Cluster& cluster);
  void OnBatchEnd();
  void NameHost(UpstreamHost& host, const std::string& cluster, const Endpoint& endpoint);
  void StopAccepting(std::vector<std::unique_ptr<AcceptSource>> sources, bool take_waiting);

  const DataPlaneConfig config_;
  const size_t index_;
  const std::function<void()>& drained_;
  FastRandom random_;
  Poller poller_;
  AccessLog* access_log_ = nullptr;
  WorkerStats stats_;
  TlsWorker tls_{stats_.tls};
  UpstreamPool pool_;
  std::shared_ptr<const CompiledTable> table_;
  absl::flat_hash_map<std::string, std::shared_ptr<WorkerCluster>> clusters_;
  std::map<ListenAddress, std::unique_ptr<ListenerState>> listener_states_;
  std::map<ListenAddress, std::vector<std::unique_ptr<AcceptSource>>> accepting_;
  std::list<std::unique_ptr<H1Session>> sessions_;
  std::vector<std::unique_ptr<Exchange>> free_exchanges_;
  size_t active_exchanges_ = 0;
  bool draining_ = false;
  Millis drain_idle_{0};
  bool drained_noted_ = false;
  std::function<void()> on_idle_;
  std::vector<std::unique_ptr<TaskTimer>> task_timers_;
  RequestHead request_head_;
  ResponseHead response_head_;
  std::string scratch_;
  std::string body_scratch_;
  std::vector<uint8_t> avoid_scratch_;
  const Peers* peers_ = nullptr;
  absl::flat_hash_map<uint64_t, Exchange*> tickets_;  // of requests that wait
  uint64_t last_ticket_ = 0;
  absl::flat_hash_map<std::shared_ptr<EndpointCounters>, Instant> ready_since_;  // for slow start
  std::unique_ptr<TaskTimer> check_timer_;
  bool checking_ = false;
  std::thread thread_;
};

}  // namespace pando::proxy
