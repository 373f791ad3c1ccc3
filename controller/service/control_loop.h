// The one owner of the cluster's state. Everything that happens comes in as a decision on the
// Cluster; its effects leave in the same order, and those that must be remembered are committed
// before anybody hears of them. A batch without writes and with nothing before it leaves at once:
// an instance's failure reaches the proxies without waiting for a disk.
//
// All methods run on the loop.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "common/runtime/executor.h"
#include "common/runtime/metrics.h"
#include "controller/core/cluster.h"
#include "controller/service/store_thread.h"
#include "controller/service/timeline.h"
#include "controller/store/records.h"
#include "pando/v1/agent.pb.h"

namespace pando::controller {

class ControlLoop {
 public:
  using Decision = absl::FunctionRef<void(Cluster& cluster, Instant now, Effects& effects)>;
  // Runs when the decision's effects are durable and sent, or with kUnavailable at shutdown.
  using Released = absl::AnyInvocable<void(absl::Status)>;

  // Where effects go.
  struct Outlets {
    std::function<void(const NodeId& node, v1::Orders orders)> orders;
    std::function<void(const UpstreamTable& table)> table;
    std::function<void(const AppId& app)> table_removed;
    std::function<void(const RoutingConfig& routing)> routing;
  };

  // `loop`, `store` and `metrics` outlive it.
  ControlLoop(Executor& loop, StoreThread& store, ClusterPolicy policy, LoadedState state,
              std::vector<v1::EventRecord> events, Cluster::Random random, Metrics& metrics);

  // Publishes the first state and starts ticking. `outlets` are called from here on.
  void Start(Outlets outlets);
  // No reply is owed any more: everything queued is told kUnavailable and dropped.
  void Stop();

  // `also`, read when the decision was made, is committed together with its effects.
  void Do(Decision decide, Released released = nullptr,
          const std::vector<StoreWrite>* also = nullptr);
  // For what comes often and changes little (heartbeats, load reports): watchers hear of it only
  // when it has effects.
  void DoQuietly(Decision decide);

  const Cluster& cluster() const { return cluster_; }
  const Timeline& timeline() const { return timeline_; }
  Timeline& timeline() { return timeline_; }
  const std::string& cluster_id() const { return cluster_id_; }
  uint64_t term() const { return term_; }
  bool store_healthy() const { return store_.healthy(); }
  Executor& loop() { return loop_; }

  // `changed` runs when the views may have changed; changes within 20 ms are one.
  uint64_t Watch(std::function<void()> changed);
  void Unwatch(uint64_t id);

 private:
  struct Batch {
    uint64_t sequence = 0;
    bool gated = false;  // waits for its commit
    std::vector<std::pair<NodeId, v1::Orders>> orders;
    std::vector<UpstreamTable> tables;
    std::vector<AppId> removed_tables;
    std::optional<RoutingConfig> routing;
    std::vector<v1::EventRecord> events;
    Released released;
  };

  void Admit(Effects effects, Released released, const std::vector<StoreWrite>* also = nullptr);
  void Release();
  void Send(Batch& batch);
  void Record(v1::EventRecord event);
  void TickEvery100Millis();
  void ForgetOldEvents();  // now, and every minute
  void WakeAt(Instant when);
  void ViewChanged();

  Executor& loop_;
  StoreThread& store_;
  const std::string cluster_id_;
  const uint64_t term_;
  Cluster cluster_;
  Timeline timeline_;
  prometheus::Family<prometheus::Counter>& events_total_;
  Outlets outlets_;

  std::deque<Batch> queue_;
  uint64_t next_batch_ = 1;
  uint64_t committed_through_ = 0;
  bool releasing_ = false;
  bool stopped_ = false;
  uint64_t next_event_;
  uint64_t next_orders_version_ = 1;
  std::optional<Instant> next_wake_;

  std::map<uint64_t, std::function<void()>> watchers_;
  uint64_t next_watcher_ = 1;
  bool view_changed_ = false;
};

}  // namespace pando::controller
