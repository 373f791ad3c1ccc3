#include "controller/service/cluster_metrics.h"

#include <set>
#include <string>
#include <utility>

#include "controller/service/admin_views.h"
#include "controller/service/artifact_metrics.h"
#include "controller/service/registry_metrics.h"

namespace pando::controller {
namespace {

using prometheus::MetricType;

MetricDefinition Gauge(std::string name, std::string help, std::vector<std::string> labels = {}) {
  return {std::move(name), MetricType::Gauge, std::move(help), std::move(labels)};
}

const std::vector<std::string> kApp{"app"};
const std::vector<std::string> kNode{"node"};
const std::vector<std::string> kProxy{"proxy"};

// ---- apps ----
const MetricDefinition kApps = Gauge("pando_apps", "Apps");
const MetricDefinition kDesired =
    Gauge("pando_app_replicas", "Instances wanted; 0 while the app is stopped", kApp);
const MetricDefinition kPlaced =
    Gauge("pando_app_placed", "Instances of the current revision that have a node", kApp);
const MetricDefinition kReady =
    Gauge("pando_app_ready", "Instances of the current revision whose probe passes", kApp);
const MetricDefinition kAvailable =
    Gauge("pando_app_available",
          "Instances of the current revision that are ready and that every live proxy acknowledged",
          kApp);
const MetricDefinition kPending =
    Gauge("pando_app_pending", "Instances wanted for which no node has room", kApp);
const MetricDefinition kOutdated =
    Gauge("pando_app_outdated", "Instances of older revisions that have not begun to drain", kApp);
const MetricDefinition kDraining =
    Gauge("pando_app_draining", "Instances being drained or stopped", kApp);
const MetricDefinition kRevision = Gauge("pando_app_revision", "The current revision", kApp);
const MetricDefinition kSettled = Gauge(
    "pando_app_settled", "1 while all is as wanted and every live proxy acknowledged it", kApp);
const MetricDefinition kRollout =
    Gauge("pando_app_rollout", "1 for the phase the rollout of the current revision is in",
          {"app", "phase"});
const MetricDefinition kRolloutRequests =
    Gauge("pando_app_rollout_requests",
          "Requests of the new and of the old release since the last rollout began, as proxies "
          "reported them while it lasted",
          {"app", "release"});
const MetricDefinition kRolloutErrors = Gauge(
    "pando_app_rollout_errors", "Of these, answered with 5xx or not at all", {"app", "release"});
const MetricDefinition kRestarts{"pando_app_restarts_total",
                                 MetricType::Counter,
                                 "Starts after the first one, over the instances there are now",
                                 {"app"}};
const MetricDefinition kCrashLooping = Gauge(
    "pando_app_crash_looping", "Instances that wait for another start or cannot be started", kApp);
const MetricDefinition kInstances =
    Gauge("pando_instances", "Instances by app and state", {"app", "state"});
const MetricDefinition kGeneration =
    Gauge("pando_table_generation", "Generation of the app's upstream table", kApp);
const MetricDefinition kTableAge =
    Gauge("pando_table_age_seconds", "Since the app's upstream table last changed", kApp);

// ---- nodes ----
const MetricDefinition kNodes = Gauge("pando_nodes", "Nodes by state", {"state"});
const MetricDefinition kNodeReady =
    Gauge("pando_node_ready", "1 while the node's agent is heard of", kNode);
const MetricDefinition kNodeCordoned =
    Gauge("pando_node_cordoned", "1 while nothing is placed on the node", kNode);
const MetricDefinition kNodeInstances =
    Gauge("pando_node_instances", "Instances placed on the node", kNode);
const MetricDefinition kHeartbeatAge =
    Gauge("pando_node_heartbeat_age_seconds", "Since the node's agent was last heard of", kNode);

// ---- proxies ----
const MetricDefinition kProxies = Gauge("pando_proxies", "Proxies by state", {"state"});
const MetricDefinition kProxyConnected =
    Gauge("pando_proxy_connected", "1 while the proxy has a session; 0 while only its lease runs",
          kProxy);
const MetricDefinition kProxyLag =
    Gauge("pando_proxy_lag_seconds",
          "How long the proxy has been without a table that was published; 0: it runs the newest "
          "of every app",
          kProxy);
const MetricDefinition kProxyRefuses =
    Gauge("pando_proxy_refuses", "1 while the proxy's last word was a refusal (NACK)", kProxy);

// ---- the controller itself ----
const MetricDefinition kFrozen =
    Gauge("pando_frozen", "1 while mass loss keeps everything as it is");
const MetricDefinition kRecovering =
    Gauge("pando_recovering", "1 while agents are waited for after a start");
const MetricDefinition kLeader = Gauge("pando_leader", "1 while this controller leads");
const MetricDefinition kTerm = Gauge("pando_term", "Term of this leader");
const MetricDefinition kStoreHealthy = Gauge("pando_store_healthy", "1 while the store answers");
const MetricDefinition kStoreBytes =
    Gauge("pando_store_size_bytes", "Size of the store on disk, its log included");
const MetricDefinition kStreams =
    Gauge("pando_grpc_streams", "Open gRPC streams by service", {"service"});
const MetricDefinition kArtifacts = Gauge("pando_artifacts", "Artifacts the controller keeps");
const MetricDefinition kArtifactBytes =
    Gauge("pando_artifact_bytes", "Size of these on the controller's disk");

class Families {
 public:
  void One(const MetricDefinition& definition, double value) {
    MetricSamples samples(definition);
    samples.Add(value);
    Take(samples);
  }
  void Take(const MetricSamples& samples) { families_.push_back(samples.Take()); }
  std::vector<prometheus::MetricFamily> families() && { return std::move(families_); }

 private:
  std::vector<prometheus::MetricFamily> families_;
};

double Seconds(Millis millis) { return std::chrono::duration<double>(millis).count(); }

constexpr std::pair<RolloutPhase, const char*> kPhases[] = {
    {RolloutPhase::kProgressing, "progressing"}, {RolloutPhase::kComplete, "complete"},
    {RolloutPhase::kFailed, "failed"},           {RolloutPhase::kPaused, "paused"},
    {RolloutPhase::kRolledBack, "rolled-back"},
};

void CollectApps(const Cluster& cluster, const ProxyLag& lag, Instant now, Families& into) {
  MetricSamples desired(kDesired), placed(kPlaced), ready(kReady), available(kAvailable),
      pending(kPending), outdated(kOutdated), draining(kDraining), revision(kRevision),
      settled(kSettled), rollout(kRollout), rollout_requests(kRolloutRequests),
      rollout_errors(kRolloutErrors), generation(kGeneration), age(kTableAge);
  const std::vector<AppId> apps = cluster.apps();
  for (const AppId& app : apps) {
    const absl::StatusOr<AppStatus> status = cluster.GetApp(app);
    if (!status.ok()) continue;
    const std::vector<std::string> labels{app.value};
    const uint32_t wanted = status->app.stopped || status->app.removing ? 0 : status->app.replicas;
    desired.Add(wanted, labels);
    placed.Add(status->placed, labels);
    ready.Add(status->ready, labels);
    available.Add(status->available, labels);
    pending.Add(
        status->pending_reason.empty() || status->placed >= wanted ? 0 : wanted - status->placed,
        labels);
    outdated.Add(status->outdated, labels);
    draining.Add(status->draining, labels);
    revision.Add(status->app.revision, labels);
    settled.Add(status->settled ? 1 : 0, labels);
    for (const auto& [phase, name] : kPhases) {
      rollout.Add(status->rollout == phase ? 1 : 0, {app.value, name});
    }
    Load fresh, old;
    for (const auto& [number, load] : status->loads) {
      (number == status->app.revision ? fresh : old) += load;
    }
    rollout_requests.Add(static_cast<double>(fresh.requests), {app.value, "new"});
    rollout_requests.Add(static_cast<double>(old.requests), {app.value, "old"});
    rollout_errors.Add(static_cast<double>(fresh.errors), {app.value, "new"});
    rollout_errors.Add(static_cast<double>(old.errors), {app.value, "old"});
    if (const UpstreamTable* table = cluster.Table(app)) {
      generation.Add(static_cast<double>(table->generation), labels);
    }
    if (const auto since = lag.TableAge(app, now)) age.Add(Seconds(*since), labels);
  }
  into.One(kApps, static_cast<double>(apps.size()));
  for (const MetricSamples* samples :
       {&desired, &placed, &ready, &available, &pending, &outdated, &draining, &revision, &settled,
        &rollout, &rollout_requests, &rollout_errors, &generation, &age}) {
    into.Take(*samples);
  }
}

void CollectInstances(const Cluster& cluster, Families& into) {
  MetricSamples instances(kInstances), restarts(kRestarts), crash_looping(kCrashLooping);
  for (const AppId& app : cluster.apps()) {
    restarts.Add(0, {app.value});
    crash_looping.Add(0, {app.value});
  }
  for (const InstanceStatus& instance : cluster.GetInstances({})) {
    const std::string& app = instance.assignment.app.value;
    instances.Add(1, {app, instance.state});
    restarts.Add(instance.report.restarts, {app});
    const bool failing = instance.state == "backoff" || instance.state == "failed";
    crash_looping.Add(failing ? 1 : 0, {app});
  }
  into.Take(instances);
  into.Take(restarts);
  into.Take(crash_looping);
}

void CollectNodes(const Cluster& cluster, Instant now, Families& into) {
  MetricSamples nodes(kNodes), ready(kNodeReady), cordoned(kNodeCordoned),
      instances(kNodeInstances), age(kHeartbeatAge);
  for (const NodeState state :
       {NodeState::kUnknown, NodeState::kReady, NodeState::kSuspect, NodeState::kLost}) {
    nodes.Add(0, {NodeStateName(state)});
  }
  for (const NodeStatus& node : cluster.GetNodes(now)) {
    const std::vector<std::string> labels{node.record.id.value};
    nodes.Add(1, {NodeStateName(node.state)});
    ready.Add(node.state == NodeState::kReady ? 1 : 0, labels);
    cordoned.Add(node.record.cordoned ? 1 : 0, labels);
    instances.Add(node.instances, labels);
    if (node.heartbeat_age) age.Add(Seconds(*node.heartbeat_age), labels);
  }
  for (const MetricSamples* samples : {&nodes, &ready, &cordoned, &instances, &age}) {
    into.Take(*samples);
  }
}

void CollectProxies(const Cluster& cluster, ProxyLag& lag, Instant now, Families& into) {
  MetricSamples proxies(kProxies), connected(kProxyConnected), behind(kProxyLag),
      refuses(kProxyRefuses);
  const std::vector<ProxyStatus> all = cluster.GetProxies(now);
  lag.Keep(all);
  for (const char* state : {"synced", "syncing", "disconnected"}) proxies.Add(0, {state});
  for (const ProxyStatus& proxy : all) {
    const std::vector<std::string> labels{proxy.id.value};
    proxies.Add(1, {ProxyStateName(proxy)});
    connected.Add(proxy.connected ? 1 : 0, labels);
    behind.Add(Seconds(lag.Of(proxy.id, now)), labels);
    refuses.Add(proxy.nack.empty() ? 0 : 1, labels);
  }
  for (const MetricSamples* samples : {&proxies, &connected, &behind, &refuses}) {
    into.Take(*samples);
  }
}

}  // namespace

std::vector<MetricDefinition> ClusterMetrics::Definitions() {
  return {kApps,         kDesired,         kPlaced,        kReady,      kAvailable,
          kPending,      kOutdated,        kDraining,      kRevision,   kSettled,
          kRollout,      kRolloutRequests, kRolloutErrors, kRestarts,   kCrashLooping,
          kInstances,    kGeneration,      kTableAge,      kNodes,      kNodeReady,
          kNodeCordoned, kNodeInstances,   kHeartbeatAge,  kProxies,    kProxyConnected,
          kProxyLag,     kProxyRefuses,    kFrozen,        kRecovering, kLeader,
          kTerm,         kStoreHealthy,    kStoreBytes,    kStreams,    kArtifacts,
          kArtifactBytes};
}

std::vector<MetricDefinition> ControllerMetrics() {
  std::vector<MetricDefinition> all = ClusterMetrics::Definitions();
  for (const MetricDefinition& definition : RegistryMetrics()) all.push_back(definition);
  for (const MetricDefinition& definition : TransferMetrics::Definitions()) {
    all.push_back(definition);
  }
  return all;
}

std::vector<prometheus::MetricFamily> ClusterMetrics::Collect() const {
  const Cluster& cluster = parts_.control.cluster();
  const Instant now = parts_.loop.Now();
  Families families;
  CollectApps(cluster, parts_.observations.lag, now, families);
  CollectInstances(cluster, families);
  CollectNodes(cluster, now, families);
  CollectProxies(cluster, parts_.observations.lag, now, families);
  families.One(kFrozen, cluster.frozen() ? 1 : 0);
  families.One(kRecovering, cluster.recovering() ? 1 : 0);
  families.One(kLeader, 1);
  families.One(kTerm, static_cast<double>(parts_.control.term()));
  families.One(kStoreHealthy, parts_.control.store_healthy() ? 1 : 0);
  families.One(kStoreBytes, static_cast<double>(parts_.store_bytes()));
  MetricSamples streams(kStreams);
  for (const auto& [service, open] : parts_.streams()) {
    streams.Add(static_cast<double>(open), {service});
  }
  families.Take(streams);
  const ArtifactStore::Totals artifacts = parts_.artifacts();
  families.One(kArtifacts, static_cast<double>(artifacts.artifacts));
  families.One(kArtifactBytes, static_cast<double>(artifacts.bytes));
  return std::move(families).families();
}

}  // namespace pando::controller
