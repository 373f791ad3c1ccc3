// Inside of Cluster: the state and the glue between the pure pieces. Included by cluster*.cc only.
//
// A public call changes what it is about, marks the apps concerned as dirty, and ends with Finish:
// dirty apps converge (app_convergence.cc), then everything collected goes to the caller's Effects.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "controller/core/cluster.h"
#include "controller/core/deadlines.h"
#include "controller/core/drain.h"
#include "controller/core/node_lease.h"
#include "controller/core/placement.h"
#include "controller/core/rebalance.h"
#include "controller/core/reconcile.h"
#include "controller/core/upstream_table.h"

namespace pando::controller {

struct InFlight {
  uint64_t requests = 0;
  uint64_t tunnels = 0;   // of these
  bool draining = false;  // the proxy's own table has the endpoint draining
  uint64_t session = 0;   // of the proxy, when it said so
};

struct AssignmentEntry {
  Assignment assignment;
  std::optional<InstanceReport> report;  // absent: the agent did not say anything of it
  std::optional<Health> shown;           // as in the table last published
  uint16_t shown_port = 0;               // likewise
  uint64_t healthy_since = 0;            // generation; when `shown` is healthy
  uint64_t unpickable_since = 0;         // generation; when `shown` is absent or draining
  bool in_rotation_told = false;
  bool draining_told = false;
  bool moving = false;  // a rebalance wants it elsewhere
  std::optional<Instant> available_since;
  std::optional<Instant> drain_deadline;
  std::optional<Instant> tunnel_deadline;  // the same while tunnels are open
  Reach reach;                             // what all proxies said, newest first
  std::map<ProxyId, InFlight> in_flight;
};

struct AppEntry {
  App app;
  std::map<uint32_t, Revision> revisions;
  std::map<AssignmentId, AssignmentEntry> assignments;
  UpstreamTable table;
  bool published = false;
  bool readdressed = false;         // a node of its instances may have another address now
  std::string pending_reason;       // why a slot has no place now
  std::string pending_reason_told;  // as in the last event
  RolloutClock clock;
  std::string stalled;                           // why the rollout counts as failed and yet goes on
  std::map<uint32_t, Load> loads;                // by revision, since its rollout began
  std::optional<RoutingConfig::AppRoute> route;  // as published
};

struct NodeEntry {
  NodeRecord record;
  NodeHello hello;     // without instances; empty until heard
  bool heard = false;  // said hello to this controller
  bool connected = false;
  NodeState state = NodeState::kUnknown;
  Instant last_heard;
  Instant suspect_since;
  std::optional<Instant> lost_at;  // within the loss window, and not confirmed
  uint32_t instances_lost = 0;     // what served on it then
  uint32_t shown = 0;              // assignments on it that tables have
  NodeUsage used;
  std::set<AssignmentId> assignments;
  bool index_due = false;      // waits in unindexed_
  bool drain_expired = false;  // the deadline of its drain is over
};

struct ProxyEntry {
  bool connected = false;
  bool reports = false;  // its load reports come, in this session
  uint64_t session = 0;  // grows whenever it connects
  ProxyCapabilities capabilities;
  std::map<AppId, uint64_t> acked;  // in this session
  std::optional<Instant> last_ack;
  std::string nack;
  uint64_t in_flight = 0;  // sum over assignments
};

class Cluster::Core {
 public:
  Core(ClusterPolicy policy, DurableState state, Random random, Instant now);

  // ---- cluster_operators.cc ----
  absl::StatusOr<std::vector<ApplyOutcome>> Apply(const std::vector<AppRequest>& requests,
                                                  const std::vector<Gateway>& gateways,
                                                  const ApplyOptions& options);
  absl::Status RemoveGateway(const std::string& name);
  absl::StatusOr<ChangeOutcome> Scale(const AppId& id, uint32_t replicas);
  absl::StatusOr<ChangeOutcome> ScaleBy(const AppId& id, int32_t delta);
  absl::StatusOr<ChangeOutcome> SetStopped(const AppId& id, bool stopped);
  absl::StatusOr<ChangeOutcome> Restart(const AppId& id, const Origin& origin);
  absl::StatusOr<ChangeOutcome> Remove(const AppId& id);

  // ---- cluster_drain.cc ----
  absl::Status SetCordoned(const NodeId& id, bool cordoned, Instant now);
  absl::StatusOr<DrainOutcome> DrainNode(const NodeId& id, Millis deadline, Instant now);

  // ---- cluster_rebalance.cc ----
  absl::StatusOr<RebalanceOutcome> Rebalance(const AppId& only, bool plan_only, Instant now);

  // ---- app_rollout.cc ----
  absl::StatusOr<ChangeOutcome> Undo(const AppId& id, uint32_t to);
  absl::StatusOr<ChangeOutcome> SetPaused(const AppId& id, bool paused);
  absl::StatusOr<ChangeOutcome> Promote(const AppId& id, bool all);
  void ProxyLoads(const std::vector<std::pair<AssignmentId, Load>>& loads, Instant now);

  // ---- cluster_nodes.cc ----
  absl::Status Unfreeze(Instant now);
  absl::Status NodeConnected(const NodeHello& hello, Instant now);
  void NodeDisconnected(const NodeId& id);
  void NodeHeartbeat(const NodeId& id, Instant now);
  void InstanceChanged(const NodeId& id, const InstanceReport& report, Instant now);
  void InstanceGone(const NodeId& node, const AssignmentId& id, Instant now);

  // ---- cluster_proxies.cc ----
  void ProxyConnected(const ProxyId& id, const ProxyCapabilities& capabilities);
  void ProxyDisconnected(const ProxyId& id, Instant now);
  void ProxyExpected(const ProxyId& id, Instant now);
  void ProxyLeft(const ProxyId& id);
  void ProxyAcked(const ProxyId& id, const AppId& app, uint64_t generation, Instant now);
  void ProxyNacked(const ProxyId& id, const std::string& reason);
  void ProxyNackOver(const ProxyId& id);
  void ProxyReported(const ProxyId& id, const AssignmentId& assignment,
                     const EndpointReport& report, Instant now);

  // ---- cluster_core.cc ----
  void Start();
  void Tick(Instant now);
  // Ends every call: lets dirty apps converge and hands over what has to be done.
  void Finish(Instant now, Effects& effects);

  // ---- cluster_views.cc ----
  bool frozen() const { return frozen_; }
  std::string frozen_reason() const { return frozen_ ? frozen_reason_ : ""; }
  bool recovering() const;
  uint32_t moves_left() const {
    return static_cast<uint32_t>(moves_.size() + rebalance_queue_.size());
  }
  std::vector<AppId> apps() const;
  absl::StatusOr<AppStatus> GetApp(const AppId& id) const;
  std::vector<InstanceStatus> GetInstances(const AppId& id) const;
  std::vector<NodeStatus> GetNodes(Instant now) const;
  // ---- cluster_why.cc ----
  absl::StatusOr<Explanation> Why(const std::string& target, Instant now);
  std::vector<ProxyStatus> GetProxies(Instant now) const;
  std::vector<Gateway> GetGateways() const;
  const UpstreamTable* Table(const AppId& id) const;
  const Revision* FindRevision(const AppId& id, uint32_t number) const;
  absl::StatusOr<std::vector<ReleaseStatus>> GetHistory(const AppId& id) const;
  std::vector<const Revision*> Revisions() const;
  NodeOrders OrdersFor(const NodeId& id) const;

 private:
  struct DeadlineKey {
    enum Kind {
      kRecovery,
      kNode,
      kProxy,
      kDrain,
      kNodeDrain,
      kLossWindow,
      kRebalance,
      kMoves,
      kRollout
    } kind;
    std::string id;
    auto operator<=>(const DeadlineKey&) const = default;  // NOLINT(modernize-use-nullptr)
  };
  struct PlannedApp {
    App app;
    std::optional<Revision> revision;
    ApplyOutcome outcome;
    bool config_changed = false;
    bool changed = false;
  };

  // ---- apps: app_convergence.cc ----
  void Converge(AppEntry& entry, Instant now);
  void Publish(AppEntry& entry);
  // Each returns whether it changed anything.
  bool CarryOut(AppEntry& entry, Instant now);
  bool AdvanceDrains(AppEntry& entry, Instant now);
  void Tell(AppEntry& entry);  // events of what came of it
  std::string WhyDrained(const AppEntry& entry, const AssignmentEntry& item) const;
  void CollectRevisions(AppEntry& entry);
  // Part of its nodes is not in sight after a start: nothing is decided on half a picture.
  bool IsHeld(const AppEntry& entry) const;
  // Its first table would be empty only because its nodes have not been heard of yet.
  bool HidesUnheard(const AppEntry& entry) const;
  static bool IsAsShown(const AppEntry& entry, const std::vector<EndpointState>& states,
                        const std::vector<std::optional<Health>>& healths);
  std::vector<Endpoint> BuildEndpoints(const AppEntry& entry,
                                       const std::vector<EndpointState>& states,
                                       const std::vector<std::optional<Health>>& healths) const;
  std::vector<DrainProxy> DrainProxies(const AppEntry& entry, const AssignmentEntry& item) const;
  void ArmDrain(const AppEntry& entry, AssignmentEntry& item, Instant now);
  std::string DescribeHolders(const AssignmentEntry& item,
                              const std::vector<ProxyId>& holders) const;
  DrainInput ToDrainInput(const AppEntry& entry, const AssignmentEntry& item) const;
  uint64_t AckedByAll(const AppId& id) const;
  bool IsAvailable(const AssignmentEntry& item, uint64_t acked_by_all) const;
  bool IsServing(const AssignmentEntry& item) const;
  uint32_t WantedReplicas(const App& app) const {
    return app.stopped || app.removing ? 0 : app.replicas;
  }
  bool ShownSuspect(const NodeEntry& node) const {
    return node.state == NodeState::kLost || (!frozen_ && node.state == NodeState::kSuspect);
  }

  // ---- places: cluster_placement.cc ----
  // Finds places for what is to be placed; true when any was found.
  bool PlaceAll(AppEntry& entry, const std::vector<Placing>& wanted);
  void PlaceOn(AppEntry& entry, const Placing& placing, const NodeId& node);
  Placer PlacerFor(const AppEntry& entry, uint32_t revision);
  // Another node is to take it over: this one is drained, or has more than its share.
  bool IsLeaving(const AssignmentEntry& item) const;
  bool IsEvicted(const AssignmentEntry& item) const;
  void Unindex(NodeEntry& node);  // what placement knows of it is outdated
  void UpdateIndex();

  // ---- rebalance: cluster_rebalance.cc ----
  void RebalanceSoon(Instant now);
  void RebalanceAll(Instant now);
  void Enqueue(const AppId& id);
  std::vector<PlannedMove> PlanMovesOf(AppEntry& entry, size_t most);
  bool MayRebalance(const AppEntry& entry) const;
  void PumpRebalance(Instant now);
  void WatchMoves(Instant now);
  void BeginMove(AppEntry& entry, const PlannedMove& move, Instant now);
  void EndMoves(Instant now);
  void GiveUpMove(AppEntry& entry, AssignmentEntry& item, const std::string& why);
  // The best place for what should be moved is where it is: true, and it is not moved.
  bool StaysAfterAll(AppEntry& entry, const Placing& placing, const NodeId& node);
  static std::string InstanceNameOf(const AppEntry& entry, const AssignmentId& id);

  // ---- explanations: cluster_why.cc ----
  std::vector<std::string> WhySlot(AppEntry& entry, uint32_t slot, Instant now,
                                   Explanation& explanation);
  std::string WhyAssignment(const AppEntry& entry, const AssignmentEntry& item, Instant now);
  std::string WhyNotInRotation(const AppEntry& entry, const AssignmentEntry& item);
  std::string WhyDraining(const AppEntry& entry, const AssignmentEntry& item, Instant now);
  std::string StepText(const AppEntry& entry) const;  // "1 of 2"
  // Where the rollout stands, or how the last one ended; empty when there is nothing to say.
  std::string WhyRollout(const AppEntry& entry, Instant now) const;
  std::string WhyNoPlace(AppEntry& entry, uint32_t slot);
  Explanation WhyNode(const NodeEntry& node, Instant now);

  // ---- node drains: cluster_drain.cc ----
  void ArmNodeDrain(NodeEntry& node, Instant now);
  void NodeDrainExpired(const NodeId& id);
  void TellNodeDrained(NodeEntry& node);

  // ---- rollouts: app_rollout.cc ----
  // The app's newest release begins; `direct`: without steps, and it is not rolled back by itself.
  void BeginRollout(AppEntry& entry, uint32_t from, bool direct);
  bool AdvanceRollout(AppEntry& entry, Instant now);
  RolloutView ToRolloutView(const AppEntry& entry, Instant now) const;
  void KeepEvidence(AppEntry& entry);
  // Proxies without a word on what they see; empty when there is none.
  std::string SilentProxies() const;
  void NextStep(AppEntry& entry);
  void RollBack(AppEntry& entry, const std::string& reason);
  bool MayRollBack(const AppEntry& entry) const;
  // Why the release does not get on, or empty.
  std::string FailureOf(const AppEntry& entry) const;
  // The newest release that was live once: what the next one replaces. 0: none.
  uint32_t LastLive(const AppEntry& entry) const;
  void SetResult(AppEntry& entry, uint32_t revision, ReleaseResult result, std::string detail);
  // Notes since when each assignment is available.
  void NoteAvailable(AppEntry& entry, Instant now);
  static bool IsProven(const AssignmentEntry& item, Millis min_ready, Instant now);
  const Strategy& StrategyOf(const AppEntry& entry) const {
    return ConfigOf(entry, entry.app.revision).strategy;
  }
  // What slots beyond those of the present step run; 0: all run the current revision.
  uint32_t StableOf(const AppEntry& entry) const;
  // Whose routes hold now, and how requests are split.
  RoutingConfig::AppRoute RouteOf(const AppEntry& entry) const;
  Desired ToDesired(const AppEntry& entry) const;

  // ---- bookkeeping: cluster_core.cc ----
  AssignmentEntry& AddAssignment(AppEntry& entry, const Assignment& assignment);
  void RemoveAssignment(AppEntry& entry, const AssignmentId& id);
  void ForgetApp(const AppId& id);
  void SetWish(AssignmentEntry& item, Wish wish);
  AssignmentId NewAssignmentId(const AppId& app, uint32_t slot);
  AppEntry* FindApp(const AppId& id);
  const AppEntry* FindApp(const AppId& id) const;
  // The app and the assignment; nullptrs when it is not known.
  std::pair<AppEntry*, AssignmentEntry*> FindAssignment(const AssignmentId& id);
  NodeEntry& NodeOf(const AssignmentEntry& item);
  const NodeEntry& NodeOf(const AssignmentEntry& item) const;
  const RevisionConfig& ConfigOf(const AppEntry& entry, uint32_t revision) const;
  void MarkAllDirty();
  void MarkRolloutsDirty();
  void MarkRoutingChanged() { routing_changed_ = true; }
  RoutingConfig BuildRouting() const;
  void AddEvent(std::string kind, const AppId& app, std::string instance, const NodeId& node,
                std::string message);
  void AddInstanceEvent(std::string kind, const AssignmentEntry& item, std::string message);
  void FlushWrites(Effects& effects);

  // ---- operators ----
  absl::StatusOr<AppEntry*> FindChangeable(const AppId& id);
  absl::StatusOr<PlannedApp> PlanApp(const AppRequest& request, const ApplyOptions& options) const;
  // No two apps may claim a route: neither now nor when one of them is rolled back.
  absl::Status CheckRoutes(const std::map<AppId, const RevisionConfig*>& planned) const;
  absl::Status CheckRoutesOf(const AppId& id, const RevisionConfig& config) const;
  void CommitPlan(PlannedApp plan, const ApplyOptions& options);
  // Closes the present release's file; returns the one the next would be rolled back to.
  uint32_t ReplaceRelease(AppEntry& entry);
  absl::StatusOr<ChangeOutcome> ScaleTo(const AppId& id, int64_t replicas, bool relative);
  static ChangeOutcome Outcome(const AppEntry& entry, uint32_t old_replicas);

  // ---- nodes, proxies ----
  void Heard(NodeEntry& node, Instant now);
  void SetNodeState(NodeEntry& node, NodeState state);
  void JudgeNodes(const std::vector<NodeId>& due, Instant now);
  void LoseNode(NodeEntry& node, const std::string& how, Instant now);
  bool IsConfirmedLost(const NodeEntry& node, Instant now) const;
  void ForgetLoss(NodeEntry& node);
  FleetCount CountFleet(Instant now) const;
  // How many of its instances proxies may be using.
  // `by_tables`: every app has a table, so what none has serves nobody.
  static uint32_t Serving(const NodeEntry& node, bool by_tables) {
    return by_tables ? node.shown : node.used.instances;
  }
  bool AllPublished() const;
  void UpdateFreeze(Instant now, bool give_grace);
  void ArmNode(NodeEntry& node, Instant now);
  void EndRecovery(Instant now);
  bool Counts(const NodeEntry& node) const { return node.heard || !node.assignments.empty(); }
  // Soon after a start those that were not heard of yet count too: they may all be cut off.
  bool CountsInFleet(const NodeEntry& node, Instant now) const {
    return Counts(node) || now - started_ < policy_.loss_window;
  }
  void MarkNodeDirty(const NodeEntry& node);
  void TakeReport(AppEntry& entry, AssignmentEntry& item, const InstanceReport& report);
  void TakeSilenceOf(AppEntry& entry, const AssignmentId& id);
  void ForgetProxy(const ProxyId& id);

  const ClusterPolicy policy_;
  const LeasePolicy lease_policy_;
  const Random random_;
  const Instant started_;
  Instant last_tick_;
  std::optional<Instant> woke_at_;  // the tick after the last pause
  bool recovery_window_over_ = false;
  bool frozen_ = false;
  std::string frozen_reason_;
  size_t unheard_nodes_ = 0;  // that have not said hello to this controller yet

  std::map<AppId, AppEntry> apps_;
  std::map<NodeId, NodeEntry> nodes_;
  std::map<ProxyId, ProxyEntry> proxies_;  // live ones: connected, or their lease still runs
  std::map<std::string, Gateway> gateways_;
  absl::flat_hash_map<AssignmentId, AppId> app_of_;
  NodeIndex index_;  // of all nodes; those in unindexed_ are to be put again
  std::vector<NodeId> unindexed_;
  std::deque<AppId> rebalance_queue_;      // apps to be looked at
  std::map<AssignmentId, Instant> moves_;  // under way, and when each is given up
  Deadlines<DeadlineKey> deadlines_;

  // Shared by all tables: an acknowledgement that comes late can not be taken for one of an app
  // that was removed and made again.
  uint64_t last_generation_ = 0;

  std::set<AppId> dirty_;    // have to converge in this call
  std::set<AppId> pending_;  // wait for room somewhere
  bool room_made_ = false;

  // Collected in this call.
  Effects out_;
  std::set<AppId> touched_apps_;
  std::set<AssignmentId> touched_assignments_;
  absl::flat_hash_set<AssignmentId> stored_;  // assignments that are in the store
  std::set<NodeId> new_orders_;
  std::set<AppId> new_tables_;
  std::set<AppId> changed_;
  bool routing_changed_ = false;
};

}  // namespace pando::controller
