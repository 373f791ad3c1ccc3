// The agent's owner: the supervisor in the middle, processes, probes and files around it. Carries
// out what the supervisor asks for and tells it what happened; decides nothing. Everything here
// runs on the event loop.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "agent/adoption.h"
#include "agent/agent_metrics.h"
#include "agent/agent_state.h"
#include "agent/artifact_keeper.h"
#include "agent/core/supervisor.h"
#include "agent/delay_watch.h"
#include "agent/earlier_logs.h"
#include "agent/launcher.h"
#include "agent/prober.h"
#include "agent/shim_client.h"
#include "agent/usage_sampler.h"
#include "common/runtime/event_loop.h"
#include "pando/v1/agent.pb.h"

namespace pando::agent {

class AgentLoop {
 public:
  // Where changes go; the controller's session, in the agent.
  struct Uplink {
    std::function<void(v1::InstanceStatus)> status;
    std::function<void(const std::string& assignment_id)> gone;
    // Before the instance's files are deleted.
    std::function<void(const std::string& instance_dir)> closing;
  };

  // `loop`, `metrics` and `state` outlive it; `seed` is random.
  AgentLoop(EventLoop& loop, AgentMetrics& metrics, AgentState& state, LauncherConfig config,
            Uplink uplink, uint64_t seed);
  ~AgentLoop();

  // Takes over what an earlier life left running and carries out the last orders: a node does its
  // work without a controller too. Call once, first.
  void Start();

  // kFailedPrecondition: not the orders of this agent's controller (see core/order_fence.h).
  // Other errors: they could not be kept, so they are not carried out; what is new in them is told
  // to have failed, and they are tried again until they can be kept or others come.
  absl::Status SetOrders(const v1::Orders& orders);

  std::vector<v1::InstanceStatus> Statuses() const;
  // The shims that run: whose usage is to be read.
  std::vector<UsageSampler::Subject> UsageSubjects() const;
  // Those that serve and have a page for Prometheus.
  std::vector<DelayWatch::Subject> PageSubjects() const;
  // As the sampler read it: where no control group holds memory, too much of it ends an instance.
  void OnUsage(const std::map<AssignmentId, UsageSampler::InstanceUsage>& usage);
  // The version of the orders carried out last; 0 before the first.
  uint64_t orders_version() const { return orders_version_; }
  // Empty when the instance is not known.
  std::string InstancePath(const std::string& assignment_id) const;
  // Where the log of the slot's assignment before this one may be; empty likewise.
  std::string EarlierLogPath(const std::string& assignment_id) const;
  Prober& prober() { return prober_; }

  // Stops every instance, each with its grace, then calls `done`. Orders stay as they are: the next
  // life of the agent starts them again.
  void StopInstances(std::function<void()> done);

 private:
  struct Running {
    uint32_t incarnation = 0;
    std::optional<Instant> decided_at;  // that it is started; until it is told to run
    pid_t shim_pid = 0;
    Cgroup group;
    std::unique_ptr<ShimClient> shim;
    std::string failure;                        // why the app could not be started
    bool exit_told = false;                     // of the app
    std::optional<ProbeCommand> probe_command;  // made for the first probe by command
  };

  struct QueuedSpawn {
    Spawn spawn;
    Instant decided_at;
  };

  // What was ordered when the instance was started.
  Assignment Describe(const std::string& id, const InstanceDir& dir) const;
  void OnFound(Assignment assignment, FoundInstance found);
  void OnOverdue(const Assignment& assignment, const absl::Status& why);
  void OnFoundLater();
  void KeepLog(const InstanceDir& dir) const;
  absl::Status CheckOrders(const v1::Orders& orders, const std::vector<Assignment>& wanted) const;
  absl::Status KeepOrders(const v1::Orders& orders);
  void Postpone(const v1::Orders& orders, const std::vector<Assignment>& wanted,
                const absl::Status& why);
  void RetryOrders();
  void Feed(const AssignmentId& id, const InstanceEvent& event);
  void CarryOut(const Actions& actions);
  void Do(const Spawn& spawn);
  void Do(const Stop& stop);
  void Do(const Probe& probe);
  absl::StatusOr<ProbeCommand> ProbeCommandOf(const Assignment& assignment, uint16_t port,
                                              const ProbePolicy& policy);
  void Do(const Report& report);
  void Do(const Gone& gone);
  void Enqueue(const Spawn& spawn);
  void PrepareThenSpawn(const Spawn& spawn, const Artifact& artifact);
  void CollectArtifactsSoon();
  // What is ordered, with the node's own paths.
  std::vector<Assignment> Ordered(const v1::Orders& orders) const;
  std::vector<Assignment> LastOrdered() const;
  void Apply(std::vector<Assignment> wanted);
  void SpawnNext();
  void SpawnNow(const Spawn& spawn, Instant decided_at);
  // `decided_at`: when it was to be started; nothing when it runs already.
  void Watch(const AssignmentId& id, uint32_t incarnation, SpawnedShim shim,
             std::optional<Instant> decided_at);
  void OnShim(const AssignmentId& id, uint32_t incarnation, const ShimEvent& event);
  void OnExit(const AssignmentId& id, const ShimExited& exited);
  void OnShimEnded(const AssignmentId& id, uint32_t incarnation);
  void KeepState(const InstanceStatus& status);
  void ScheduleWake();
  void CheckStopped();
  // Runs `task` on the loop unless this is gone by then.
  void Later(Millis delay, std::function<void()> task);

  EventLoop& loop_;
  AgentMetrics& metrics_;
  AgentState& state_;
  const CgroupTree* groups_;
  Uplink uplink_;
  std::mt19937_64 random_;
  Supervisor supervisor_;
  ArtifactKeeper artifacts_;
  EarlierLogs earlier_logs_;
  Launcher launcher_;
  Prober prober_;
  Adoption adoption_;
  // The newest lines of the instance's log, as they were when it exited.
  void ReadLastLines(const InstanceStatus& status);
  v1::InstanceStatus ToMessage(const InstanceStatus& status) const;

  std::map<AssignmentId, std::vector<std::string>> last_lines_;
  std::map<AssignmentId, std::vector<std::string>> prepare_lines_;  // until they are told
  std::map<AssignmentId, Running> running_;
  std::map<AssignmentId, InstanceStatus> overdue_;   // what adoption_ still looks for
  std::map<AssignmentId, StateRecord> kept_states_;  // on the disk
  // One a turn: a hundred starts do not hold up probes and messages.
  std::deque<QueuedSpawn> spawns_;
  std::optional<Instant> wake_at_;
  bool collecting_ = false;
  bool halted_ = false;
  uint64_t orders_version_ = 0;
  std::optional<v1::Orders> unkept_;  // the newest, when they could not be kept
  bool retry_scheduled_ = false;
  std::set<AssignmentId> told_unkept_;  // told to have failed for that
  std::function<void()> on_stopped_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace pando::agent
