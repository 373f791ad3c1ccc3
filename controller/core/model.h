// The cluster as plain values: what is wanted (durable) and what is seen (soft).
//
// Words: an *app* has *revisions*; slot 3 of app web is the *instance* web.3; an *assignment*
// places one revision of one slot on one *node*. During a rollout a slot has two assignments for a
// while: the new one starts, and when it is available the old one drains.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/time.h"
#include "controller/core/label_rule.h"
#include "controller/core/rollout.h"
#include "controller/core/strategy.h"

namespace pando::controller {

enum class LbPolicy {
  kLeastRequest,
  kRoundRobin,
  kRandom,
  kPeakEwma,
  kRingHash,
  kMaglev,
  kSticky,
};

// How long proxies wait for an app's instances, and how much they send them. Zero: no limit.
struct RequestBounds {
  Millis connect_timeout{1'000};  // never zero
  Millis first_byte_timeout{0};
  Millis total_timeout{0};
  uint64_t max_body_bytes = 0;
  Millis per_try_timeout{0};

  bool operator==(const RequestBounds&) const = default;
};

// What the core needs to know of a revision. `payload` is the whole spec, opaque here (the shell
// serializes it without `replicas`, deterministically): equal payloads are equal releases.
struct RevisionConfig {
  std::string payload;
  std::vector<std::string> hosts{"*"};
  std::string path = "/";
  LbPolicy lb_policy = LbPolicy::kLeastRequest;
  // What else the spec says of how requests are spread, opaque here like the payload.
  std::string balancing{};
  RequestBounds bounds;
  Millis drain_timeout{30'000};
  Millis drain_tunnels{300'000};  // the same while tunnels are open
  Millis startup_timeout{30'000};
  Labels node_labels;                 // required of the node
  std::vector<LabelRule> node_rules;  // likewise
  // Instances are spread over the values of these labels, then over nodes.
  std::vector<std::string> spread_labels{"zone"};
  bool spread_hosts = true;
  uint32_t max_per_node = 0;  // 0: no limit
  uint32_t cpu_millis = 0;
  uint64_t memory_bytes = 0;
  Strategy strategy;

  bool operator==(const RevisionConfig&) const = default;
};

// Who asks, and when by the wall clock: kept for those who look back, decides nothing.
struct Origin {
  std::string by = {};
  int64_t unix_ms = 0;

  bool operator==(const Origin&) const = default;
};

// What became of a release.
enum class ReleaseResult { kPending, kLive, kReplaced, kUndone, kRolledBack };

struct Revision {
  AppId app;
  uint32_t number = 0;
  RevisionConfig config;  // never changes
  std::string reason;     // "apply" or "restart"
  Origin origin;
  ReleaseResult result = ReleaseResult::kPending;
  std::string result_detail = {};  // why it was rolled back

  bool operator==(const Revision&) const = default;
};

// Durable part of an app.
struct App {
  AppId id;
  uint32_t revision = 0;
  uint32_t replicas = 1;
  std::optional<uint32_t> spec_replicas;
  bool stopped = false;
  uint64_t generation = 0;
  bool removing = false;  // drains and stops; forgotten when its last assignment is gone
  Rollout rollout;

  bool operator==(const App&) const = default;
};

enum class Wish { kRun, kDrain, kStop };

// Durable part of an assignment.
struct Assignment {
  AssignmentId id;
  AppId app;
  uint32_t slot = 0;  // from 1
  uint32_t revision = 0;
  NodeId node;
  Wish wish = Wish::kRun;
  bool was_ready = false;

  bool operator==(const Assignment&) const = default;
};

enum class Phase {
  kStarting,
  kReady,
  kUnhealthy,
  kBackoff,
  kStopping,
  kFailed,
  kPreparing,  // no process yet: its code is fetched or installed
};

// What an agent says of an assignment.
struct InstanceReport {
  AssignmentId assignment;
  Phase phase = Phase::kStarting;
  uint16_t port = 0;
  int64_t pid = 0;
  uint32_t incarnation = 0;
  uint32_t restarts = 0;
  uint32_t failed_starts = 0;
  int64_t started_unix_ms = 0;
  std::string detail;
  uint32_t crashes = 0;                 // exits in a row, none after it was healthy for long
  std::vector<std::string> last_lines;  // of its log, when it last exited
  uint64_t child_oom_kills = 0;         // this incarnation

  bool operator==(const InstanceReport&) const = default;
};

// What an agent says of its node when its session begins.
struct NodeHello {
  NodeId node;
  std::string agent_id;
  std::string address;  // where proxies reach its instances
  std::string version;
  Labels labels;
  uint32_t cpu_millis = 0;
  uint64_t memory_bytes = 0;
  uint32_t max_instances = 0;
  std::vector<InstanceReport> instances;
};

// Durable part of a node.
struct NodeRecord {
  NodeId id;
  std::string agent_id;
  bool cordoned = false;
  bool draining = false;     // its instances move to other nodes; implies cordoned
  Millis drain_deadline{0};  // from then on they go even without a place elsewhere; 0: never

  bool operator==(const NodeRecord&) const = default;
};

struct GatewayTls {
  struct Certificate {
    std::string cert;  // files on the proxies' hosts
    std::string key;
    bool operator==(const Certificate&) const = default;
  };
  std::vector<Certificate> certificates;
  bool only_tls13 = false;     // else 1.2, too
  uint16_t redirect_from = 0;  // a port of plain HTTP on the same address; 0: none
  uint16_t redirect_to = 0;    // the port users see

  bool operator==(const GatewayTls&) const = default;
};

struct Gateway {
  std::string name = "default";
  std::string address = "0.0.0.0";
  uint16_t port = 8080;
  std::optional<GatewayTls> tls{};
  // The rest of its spec, opaque here, as a revision's payload is; empty: nothing else is said.
  std::string options{};

  // The name of the listener that redirects to this gateway.
  std::string RedirectName() const { return name + "-redirect"; }
  bool operator==(const Gateway&) const = default;
};

enum class Health { kHealthy, kDraining, kSuspect };

// One endpoint of an app's upstream table.
struct Endpoint {
  AssignmentId assignment;
  std::string instance;  // "web.3"
  NodeId node;
  uint32_t revision = 0;
  std::string address;  // numeric
  uint16_t port = 0;
  Health health = Health::kHealthy;

  bool operator==(const Endpoint&) const = default;
};

// The endpoints of one app. `generation` grows whenever they change (within one controller's life;
// across restarts the content's hash is what counts). Sorted by instance name, then assignment.
struct UpstreamTable {
  AppId app;
  uint64_t generation = 0;
  std::vector<Endpoint> endpoints;

  bool operator==(const UpstreamTable&) const = default;
};

// So many percent of an app's requests go to the instances of `revision`, and no others do.
struct TrafficSplit {
  uint32_t revision = 0;
  uint32_t percent = 0;

  bool operator==(const TrafficSplit&) const = default;
};

// Everything about routing that is not endpoints: changes seldom.
struct RoutingConfig {
  struct AppRoute {
    AppId app;
    std::vector<std::string> hosts;
    std::string path;
    LbPolicy lb_policy = LbPolicy::kLeastRequest;
    RequestBounds bounds{};
    std::optional<TrafficSplit> split = {};
    std::string balancing{};
    bool operator==(const AppRoute&) const = default;
  };
  std::vector<AppRoute> routes;   // sorted by app
  std::vector<Gateway> gateways;  // sorted by name

  bool operator==(const RoutingConfig&) const = default;
};

// "web.3"
std::string InstanceName(const AppId& app, uint32_t slot);

}  // namespace pando::controller
