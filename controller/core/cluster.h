// The controller's decisions: one state machine over plain values, in the manner of etcd/raft's
// RawNode. Calls go in; each appends what has to be done to an Effects, and the shell does it:
//
//   1. commit effects.writes (all or nothing) in the store;
//   2. only then send effects.orders and effects.tables / effects.routing, and show effects.events;
//   3. keep the order of Effects: those of an earlier call come first;
//   4. call Tick at effects.wake_at, or at least every 100 ms.
//
// Nothing here knows a clock, a socket, a proto, a log or a thread; randomness is a number passed
// in. The same calls give the same effects. The work of a call grows with the app concerned, not
// with the cluster.
//
// Promises kept here (docs/architecture.md): an instance counts as available only when every live
// proxy acknowledged a table with it; it is ordered to stop only when every live proxy runs a table
// that has it draining and reports nothing in flight to it, or its drain timeout is over; mass loss
// freezes; observed state is rebuilt after a restart before anything is decided on it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/core/evidence.h"
#include "controller/core/mass_loss.h"
#include "controller/core/model.h"

namespace pando::controller {

struct ClusterPolicy {
  Millis suspect_after{2'000};  // silence until a node's endpoints leave the tables
  Millis lost_after{5'000};     // silence until its instances are replaced
  Millis proxy_lease{10'000};   // how long a disconnected proxy still counts as serving
  Millis loss_window{30'000};   // losses within this are one event: see mass_loss.h
  // From a node's joining or return until instances are moved to it; 0: only when told to.
  Millis rebalance_after{0};
  uint32_t moves_at_once = 4;  // of a rebalance, in the whole cluster
  // After a start: how long agents have to report before the absent count as silent since then.
  Millis recovery_window{5'000};
  // Failed starts in a row, without ever being ready, after which a rollout counts as failed; and
  // exits of instances that were ready, all of them together.
  uint32_t failed_starts_to_fail = 3;
};

// ---- what has to be done ----

struct PutApp {
  App app;
  bool operator==(const PutApp&) const = default;
};
struct DeleteApp {
  AppId app;
  bool operator==(const DeleteApp&) const = default;
};
struct PutRevision {
  Revision revision;
  bool operator==(const PutRevision&) const = default;
};
struct DeleteRevision {
  AppId app;
  uint32_t number = 0;
  bool operator==(const DeleteRevision&) const = default;
};
struct PutAssignment {
  Assignment assignment;
  bool operator==(const PutAssignment&) const = default;
};
struct DeleteAssignment {
  AssignmentId id;
  bool operator==(const DeleteAssignment&) const = default;
};
struct PutNode {
  NodeRecord node;
  bool operator==(const PutNode&) const = default;
};
struct PutProxy {
  ProxyId proxy;
  bool operator==(const PutProxy&) const = default;
};
struct DeleteProxy {
  ProxyId proxy;
  bool operator==(const DeleteProxy&) const = default;
};
struct PutGateway {
  Gateway gateway;
  bool operator==(const PutGateway&) const = default;
};
struct DeleteGateway {
  std::string name;
  bool operator==(const DeleteGateway&) const = default;
};
using Write =
    std::variant<PutApp, DeleteApp, PutRevision, DeleteRevision, PutAssignment, DeleteAssignment,
                 PutNode, PutProxy, DeleteProxy, PutGateway, DeleteGateway>;

// All that `node` has to run: the assignments whose wish is kRun or kDrain.
struct NodeOrders {
  NodeId node;
  std::vector<Assignment> assignments;  // sorted by id
  bool operator==(const NodeOrders&) const = default;
};

struct TimelineEvent {
  std::string kind;
  AppId app;
  std::string instance;
  NodeId node;
  std::string message;
  bool operator==(const TimelineEvent&) const = default;
};

struct Effects {
  std::vector<Write> writes;
  std::vector<NodeOrders> orders;        // at most one per node
  std::vector<UpstreamTable> tables;     // at most one per app
  std::vector<AppId> removed_tables;     // apps that are gone
  std::optional<RoutingConfig> routing;  // when it changed
  std::vector<TimelineEvent> events;
  std::vector<AppId> changed_apps;  // views that may have changed (for watchers)
  std::optional<Instant> wake_at;   // earliest time Tick has something to do

  bool empty() const {
    return writes.empty() && orders.empty() && tables.empty() && removed_tables.empty() &&
           !routing && events.empty();
  }
};

// ---- the durable state a leader starts from ----

struct DurableState {
  std::vector<App> apps;
  std::vector<Revision> revisions;
  std::vector<Assignment> assignments;
  std::vector<NodeRecord> nodes;
  std::vector<ProxyId> proxies;
  std::vector<Gateway> gateways;
};

// ---- what an operator asks, and is told ----

struct AppRequest {  // one app of an `apply`
  AppId app;
  RevisionConfig config;
  std::optional<uint32_t> replicas;
};

struct ApplyOptions {
  bool dry_run = false;
  // Also what is known to be bad or can't be placed anywhere now.
  bool force = false;
  Origin origin = {};
};

struct ApplyOutcome {
  AppId app;
  uint32_t old_revision = 0;  // 0: new
  uint32_t revision = 0;
  uint32_t replicas = 0;
  std::string replicas_source;
  uint64_t generation = 0;
  // Not empty: the same release was rolled back by itself before, and why. Nothing is changed, of
  // no app of this apply, unless forced.
  std::string refused;
};

// One line of an app's history.
struct ReleaseStatus {
  Revision revision;
  bool current = false;
};

struct ChangeOutcome {
  AppId app;
  uint32_t old_replicas = 0;
  uint32_t replicas = 0;
  uint32_t revision = 0;
  uint64_t generation = 0;
};

// What a drain of a node has before it.
struct DrainOutcome {
  NodeId node;
  uint32_t instances = 0;  // to be moved, or already on their way out
};

struct RebalanceOutcome {
  struct Move {
    std::string instance;
    NodeId from;
    NodeId to;
    std::string reason;
  };
  std::vector<Move> moves;
  uint32_t at_once = 0;
};

// kRolledBack: the newest release was rolled back by itself; the one before is wanted again.
enum class RolloutPhase { kProgressing, kComplete, kFailed, kPaused, kRolledBack };

struct AppStatus {
  App app;
  RevisionConfig config;  // of the current revision
  uint32_t placed = 0, ready = 0, available = 0, outdated = 0, draining = 0;
  uint32_t proxies_live = 0, proxies_acked = 0;
  RolloutPhase rollout = RolloutPhase::kProgressing;
  std::string failure;
  bool settled = false;
  std::string pending_reason;
  std::optional<RolloutStep> step;  // of a rollout in steps
  uint32_t step_number = 0, steps = 0;
  bool waits_for_promote = false;
  std::map<uint32_t, Load> loads;  // by revision, since the rollout began; as proxies report
};

struct InstanceStatus {
  Assignment assignment;  // node and id are empty when the slot is pending
  std::string state;      // the words of InstanceView.state in admin.proto
  std::string address;
  InstanceReport report;
  std::string detail;
  uint64_t in_flight = 0;
  uint64_t tunnels = 0;  // of these
  bool leaving = false;  // another node is to take it over
};

// Why something is as it is, for people: a line per fact.
struct Explanation {
  std::vector<std::string> lines;
  std::vector<std::string> logs_of;  // instances whose newest log lines tell more
};

enum class NodeState { kUnknown, kReady, kSuspect, kLost };

struct NodeStatus {
  NodeRecord record;
  NodeState state = NodeState::kUnknown;
  NodeHello hello;  // without instances
  uint32_t instances = 0;
  uint32_t cpu_millis_used = 0;
  uint64_t memory_bytes_used = 0;
  std::optional<Millis> heartbeat_age;
};

struct ProxyStatus {
  ProxyId id;
  bool connected = false;
  std::string version;
  uint32_t apps_acked = 0, apps_total = 0;
  std::optional<Millis> last_ack_age;
  std::string nack;
  uint64_t in_flight = 0;
};

// What a proxy can do beyond acknowledging. Those that do not report in-flight requests of draining
// endpoints (other xDS clients) hold an instance back for the whole drain timeout.
struct ProxyCapabilities {
  std::string version;
  bool reports_drains = false;
};

// What a proxy says of one endpoint.
struct EndpointReport {
  uint64_t in_flight = 0;
  uint64_t tunnels = 0;   // of these: WebSockets and the like, which end when they end
  bool draining = false;  // its own table has the endpoint draining: no new request is added
  Reach reach;            // its own evidence
};

class Cluster {
 public:
  // Draws a number for new assignment ids; the shell passes a real generator, tests a seeded one.
  using Random = std::function<uint64_t()>;

  // Starts in recovery: nothing is placed, moved or published for an app until every node that has
  // assignments of it has said hello, or the recovery window is over.
  Cluster(ClusterPolicy policy, DurableState state, Random random, Instant now);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  // What the shell must publish and order at the very start (routing, orders of nothing yet).
  void Start(Instant now, Effects& effects);

  // -- operators. Errors: see admin.proto. On error nothing has changed. --
  // All apps and gateways together or none. With `dry_run`, says what would happen.
  absl::StatusOr<std::vector<ApplyOutcome>> Apply(const std::vector<AppRequest>& apps,
                                                  const std::vector<Gateway>& gateways,
                                                  const ApplyOptions& options, Instant now,
                                                  Effects& effects);
  // Proxies listen there no more. Connections they have go on until they are idle.
  absl::Status RemoveGateway(const std::string& name, Instant now, Effects& effects);
  absl::StatusOr<ChangeOutcome> Scale(const AppId& app, uint32_t replicas, Instant now,
                                      Effects& effects);
  absl::StatusOr<ChangeOutcome> ScaleBy(const AppId& app, int32_t delta, Instant now,
                                        Effects& effects);
  absl::StatusOr<ChangeOutcome> SetStopped(const AppId& app, bool stopped, Instant now,
                                           Effects& effects);
  absl::StatusOr<ChangeOutcome> Restart(const AppId& app, Instant now, Effects& effects,
                                        const Origin& origin = {});
  // Back to release `to` as a whole; 0: to the last one that was live before the present one.
  // kFailedPrecondition: there is none, or its routes belong to another app by now.
  absl::StatusOr<ChangeOutcome> Undo(const AppId& app, uint32_t to, Instant now, Effects& effects);
  // Errors of these: kFailedPrecondition when there is no rollout, or nothing to promote.
  absl::StatusOr<ChangeOutcome> SetPaused(const AppId& app, bool paused, Instant now,
                                          Effects& effects);
  // Ends the present step; with `all`, all steps.
  absl::StatusOr<ChangeOutcome> Promote(const AppId& app, bool all, Instant now, Effects& effects);
  // Drains and stops every instance, then forgets the app.
  absl::StatusOr<ChangeOutcome> Remove(const AppId& app, Instant now, Effects& effects);
  // Uncordoning also ends a drain: what did not move yet stays.
  absl::Status SetCordoned(const NodeId& node, bool cordoned, Instant now, Effects& effects);
  // Cordons the node and moves its instances elsewhere, each when the one that takes over is in
  // rotation. After `deadline` (zero: never) those without a place elsewhere are drained all the
  // same. Again: sets the deadline anew.
  absl::StatusOr<DrainOutcome> DrainNode(const NodeId& node, Millis deadline, Instant now,
                                         Effects& effects);
  // Moves instances of one app (of all when empty) to where they are spread better, a few at a
  // time. With `plan_only`, says what would be moved.
  absl::StatusOr<RebalanceOutcome> Rebalance(const AppId& app, bool plan_only, Instant now,
                                             Effects& effects);
  // Overrides a freeze: the silent nodes are treated as lost. kFailedPrecondition when not frozen.
  absl::Status Unfreeze(Instant now, Effects& effects);

  // -- agents --
  // kAlreadyExists: a live session of another agent (agent_id) has this name.
  absl::Status NodeConnected(const NodeHello& hello, Instant now, Effects& effects);
  void NodeDisconnected(const NodeId& node, Instant now, Effects& effects);
  void NodeHeartbeat(const NodeId& node, Instant now, Effects& effects);
  void InstanceChanged(const NodeId& node, const InstanceReport& report, Instant now,
                       Effects& effects);
  // Nothing of the assignment runs on the node any more and it is not in the node's orders.
  void InstanceGone(const NodeId& node, const AssignmentId& id, Instant now, Effects& effects);

  // -- proxies --
  void ProxyConnected(const ProxyId& proxy, const ProxyCapabilities& capabilities, Instant now,
                      Effects& effects);
  void ProxyDisconnected(const ProxyId& proxy, Instant now, Effects& effects);
  // Another proxy says that this one has requests in flight: it counts as live from here on, and
  // has a lease to come forward.
  void ProxyExpected(const ProxyId& proxy, Instant now, Effects& effects);
  // It says itself that it has no requests any more and takes no new ones.
  void ProxyLeft(const ProxyId& proxy, Instant now, Effects& effects);
  // The proxy runs the app's table of `generation` (or a later one with equal content).
  void ProxyAcked(const ProxyId& proxy, const AppId& app, uint64_t generation, Instant now,
                  Effects& effects);
  void ProxyNacked(const ProxyId& proxy, const std::string& reason, Instant now, Effects& effects);
  // It runs all it is sent again: what it had refused was replaced or removed.
  void ProxyNackOver(const ProxyId& proxy, Instant now, Effects& effects);
  // From load reports: what this proxy has to do with an endpoint.
  void ProxyReported(const ProxyId& proxy, const AssignmentId& assignment,
                     const EndpointReport& report, Instant now, Effects& effects);

  // What one report of a proxy says it saw of instances since its report before. All of it is
  // taken in before anything is judged by it.
  void ProxyLoads(const std::vector<std::pair<AssignmentId, Load>>& loads, Instant now,
                  Effects& effects);

  // Leases, drain deadlines, recovery. Cheap when nothing is due.
  void Tick(Instant now, Effects& effects);

  // -- views --
  bool frozen() const;
  // "2 of 3 nodes and 4 of 9 instances are silent"; empty when it is not frozen.
  std::string frozen_reason() const;
  bool recovering() const;
  // Of a rebalance: moves under way, and apps that may need more; 0 when it is over.
  uint32_t moves_left() const;
  std::vector<AppId> apps() const;
  absl::StatusOr<AppStatus> GetApp(const AppId& app) const;
  // Instances of one app (all when empty), by app, slot, revision; pending slots included.
  std::vector<InstanceStatus> GetInstances(const AppId& app) const;
  // `target`: an instance ("web.3"), an app or a node.
  absl::StatusOr<Explanation> Why(const std::string& target, Instant now) const;
  std::vector<NodeStatus> GetNodes(Instant now) const;
  std::vector<ProxyStatus> GetProxies(Instant now) const;
  std::vector<Gateway> GetGateways() const;
  // The app's table as last published; nullptr when none was.
  const UpstreamTable* Table(const AppId& app) const;
  const Revision* FindRevision(const AppId& app, uint32_t number) const;
  // Newest first.
  absl::StatusOr<std::vector<ReleaseStatus>> GetHistory(const AppId& app) const;
  // All that are kept, of all apps.
  std::vector<const Revision*> Revisions() const;
  NodeOrders OrdersFor(const NodeId& node) const;

 private:
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace pando::controller
