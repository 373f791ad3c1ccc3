#include "controller/service/admin_views.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace pando::controller {
namespace {

v1::AppView::Rollout ToRollout(RolloutPhase phase) {
  switch (phase) {
    case RolloutPhase::kProgressing:
      return v1::AppView::PROGRESSING;
    case RolloutPhase::kComplete:
      return v1::AppView::COMPLETE;
    case RolloutPhase::kFailed:
      return v1::AppView::FAILED;
    case RolloutPhase::kPaused:
      return v1::AppView::PAUSED;
    case RolloutPhase::kRolledBack:
      return v1::AppView::ROLLED_BACK;
  }
  return v1::AppView::ROLLOUT_UNSPECIFIED;
}

int64_t AgeMs(const std::optional<Millis>& age) { return age ? age->count() : -1; }

void Fill(const AppStatus& from, v1::AppView& view) {
  view.set_name(from.app.id.value);
  view.set_revision(from.app.revision);
  view.set_replicas(from.app.replicas);
  view.set_stopped(from.app.stopped);
  view.set_generation(from.app.generation);
  view.set_placed(from.placed);
  view.set_ready(from.ready);
  view.set_available(from.available);
  view.set_outdated(from.outdated);
  view.set_draining(from.draining);
  view.set_proxies_live(from.proxies_live);
  view.set_proxies_acked(from.proxies_acked);
  view.set_rollout(ToRollout(from.rollout));
  view.set_failure(from.failure);
  view.set_settled(from.settled);
  view.set_pending_reason(from.pending_reason);
  for (const std::string& host : from.config.hosts) view.add_hosts(host);
  view.set_path(from.config.path);
  view.set_rolled_back(from.app.rollout.failed);
  view.set_step(from.step_number);
  view.set_steps(from.steps);
  view.set_step_traffic(-1);
  if (from.step) {
    view.set_step_instances(from.step->slots);
    if (from.step->traffic) view.set_step_traffic(static_cast<int32_t>(*from.step->traffic));
  }
  view.set_waits_for_promote(from.waits_for_promote);
  for (const auto& [revision, load] : from.loads) {
    v1::AppView::Load& added = *view.add_loads();
    added.set_revision(revision);
    added.set_requests(load.requests);
    added.set_errors(load.errors);
    added.set_p99_ms(P99Ms(load).value_or(0));
  }
}

void Fill(const InstanceStatus& from, v1::InstanceView& view) {
  const Assignment& assignment = from.assignment;
  view.set_app(assignment.app.value);
  view.set_name(InstanceName(assignment.app, assignment.slot));
  view.set_assignment_id(assignment.id.value);
  view.set_slot(assignment.slot);
  view.set_revision(assignment.revision);
  view.set_node(assignment.node.value);
  view.set_address(from.address);
  view.set_state(from.state);
  view.set_restarts(from.report.restarts);
  view.set_started_unix_ms(from.report.started_unix_ms);
  view.set_pid(from.report.pid);
  view.set_detail(from.detail);
  view.set_in_flight(from.in_flight);
  view.set_leaving(from.leaving);
  view.set_tunnels(from.tunnels);
  view.set_crashes(from.report.crashes);
  for (const std::string& line : from.report.last_lines) view.add_last_lines(line);
}

void Fill(const NodeStatus& from, v1::NodeView& view) {
  view.set_name(from.record.id.value);
  view.set_state(NodeStateName(from.state));
  view.set_cordoned(from.record.cordoned);
  view.set_draining(from.record.draining);
  view.set_address(from.hello.address);
  view.mutable_labels()->insert(from.hello.labels.begin(), from.hello.labels.end());
  view.set_instances(from.instances);
  view.set_max_instances(from.hello.max_instances);
  view.set_cpu_millis(from.hello.cpu_millis);
  view.set_cpu_millis_used(from.cpu_millis_used);
  view.set_memory_bytes(from.hello.memory_bytes);
  view.set_memory_bytes_used(from.memory_bytes_used);
  view.set_heartbeat_age_ms(AgeMs(from.heartbeat_age));
  view.set_version(from.hello.version);
}

void Fill(const ProxyStatus& from, v1::ProxyView& view) {
  view.set_id(from.id.value);
  view.set_state(ProxyStateName(from));
  view.set_version(from.version);
  view.set_apps_acked(from.apps_acked);
  view.set_apps_total(from.apps_total);
  view.set_last_ack_age_ms(AgeMs(from.last_ack_age));
  view.set_nack(from.nack);
  view.set_in_flight(from.in_flight);
}

}  // namespace

v1::ClusterView ToClusterView(const ControlLoop& control, const AppId& app, Instant now,
                              WallTime wall_now) {
  const Cluster& cluster = control.cluster();
  v1::ClusterView view;
  const std::vector<AppId> apps = app.empty() ? cluster.apps() : std::vector<AppId>{app};
  for (const AppId& id : apps) {
    if (const auto status = cluster.GetApp(id); status.ok()) Fill(*status, *view.add_apps());
  }
  for (const InstanceStatus& instance : cluster.GetInstances(app)) {
    Fill(instance, *view.add_instances());
  }
  for (const NodeStatus& node : cluster.GetNodes(now)) Fill(node, *view.add_nodes());
  for (const ProxyStatus& proxy : cluster.GetProxies(now)) Fill(proxy, *view.add_proxies());
  for (const Gateway& gateway : cluster.GetGateways()) {
    v1::GatewayView& added = *view.add_gateways();
    added.set_name(gateway.name);
    added.set_address(gateway.address);
    added.set_port(gateway.port);
    added.set_tls(gateway.tls.has_value());
    if (gateway.tls) added.set_redirect_from(gateway.tls->redirect_from);
  }
  view.set_frozen(cluster.frozen());
  view.set_moves_left(cluster.moves_left());
  view.set_frozen_reason(cluster.frozen_reason());
  view.set_recovering(cluster.recovering());
  view.set_term(control.term());
  view.set_now_unix_ms(ToUnixMillis(wall_now));
  return view;
}

v1::ChangeResponse ToChangeResponse(const ChangeOutcome& outcome) {
  v1::ChangeResponse response;
  response.set_app(outcome.app.value);
  response.set_old_replicas(outcome.old_replicas);
  response.set_replicas(outcome.replicas);
  response.set_revision(outcome.revision);
  response.set_generation(outcome.generation);
  return response;
}

v1::Event ToEvent(const v1::EventRecord& record) {
  v1::Event event;
  event.set_sequence(record.sequence());
  event.set_time_unix_ms(record.time_unix_ms());
  event.set_kind(record.kind());
  event.set_app(record.app());
  event.set_instance(record.instance());
  event.set_node(record.node());
  event.set_message(record.message());
  return event;
}

std::string NodeStateName(NodeState state) {
  switch (state) {
    case NodeState::kUnknown:
      return "unknown";
    case NodeState::kReady:
      return "ready";
    case NodeState::kSuspect:
      return "suspect";
    case NodeState::kLost:
      return "lost";
  }
  return "unknown";
}

std::string ProxyStateName(const ProxyStatus& proxy) {
  if (!proxy.connected) return "disconnected";
  return proxy.apps_acked == proxy.apps_total ? "synced" : "syncing";
}

absl::StatusOr<AppId> ResolveApp(const Cluster& cluster, const std::string& name) {
  const std::vector<AppId> apps = cluster.apps();
  if (name.empty() && apps.size() == 1) return apps.front();
  if (!name.empty() && std::find(apps.begin(), apps.end(), AppId{name}) != apps.end()) {
    return AppId{name};
  }
  std::string known;
  for (const AppId& app : apps) absl::StrAppend(&known, known.empty() ? "" : ", ", app.value);
  if (apps.empty()) {
    return absl::NotFoundError(name.empty() ? "there is no app yet"
                                            : absl::StrCat("no app ", name, "; there is none yet"));
  }
  if (name.empty()) return absl::InvalidArgumentError(absl::StrCat("say which app: ", known));
  return absl::NotFoundError(absl::StrCat("no app ", name, "; there are: ", known));
}

}  // namespace pando::controller
