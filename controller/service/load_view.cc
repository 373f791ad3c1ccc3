#include "controller/service/load_view.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "controller/service/admin_views.h"

namespace pando::controller {
namespace {

void Fill(const RequestRates& from, uint64_t in_flight, uint64_t queued, v1::RequestLoad& into) {
  into.set_requests_per_second(from.requests_per_second);
  into.set_errors_per_second(from.errors_per_second);
  into.set_in_flight(in_flight);
  into.set_queued(queued);
  if (from.p50_seconds) into.set_p50_seconds(*from.p50_seconds);
  if (from.p99_seconds) into.set_p99_seconds(*from.p99_seconds);
}

// The sum over some instances; of delays, the longest.
struct Group {
  std::vector<AssignmentId> instances;
  uint64_t in_flight = 0;
  v1::ProcessLoad usage;

  void Add(const InstanceStatus& instance, const ProcessRates& rates) {
    instances.push_back(instance.assignment.id);
    in_flight += instance.in_flight;
    if (rates.cpu_cores) usage.set_cpu_cores(usage.cpu_cores() + *rates.cpu_cores);
    usage.set_memory_bytes(usage.memory_bytes() + rates.memory_bytes);
    usage.set_open_fds(usage.open_fds() + rates.open_fds);
    usage.set_processes(usage.processes() + rates.processes);
    if (const auto& mean = rates.event_loop_delay_mean_seconds) {
      usage.set_event_loop_delay_mean_seconds(
          std::max(usage.event_loop_delay_mean_seconds(), *mean));
    }
    if (const auto& p99 = rates.event_loop_delay_p99_seconds) {
      usage.set_event_loop_delay_p99_seconds(std::max(usage.event_loop_delay_p99_seconds(), *p99));
    }
  }
};

void Fill(const InstanceStatus& from, const RequestRates& requests, const ProcessRates& usage,
          v1::InstanceLoad& into) {
  const Assignment& assignment = from.assignment;
  into.set_app(assignment.app.value);
  into.set_name(InstanceName(assignment.app, assignment.slot));
  into.set_node(assignment.node.value);
  into.set_revision(assignment.revision);
  into.set_state(from.state);
  into.set_restarts(from.report.restarts);
  Fill(requests, from.in_flight, 0, *into.mutable_requests());
  Group alone;
  alone.Add(from, usage);
  *into.mutable_usage() = alone.usage;
}

void FillHost(const HostRates& from, v1::NodeLoad& into) {
  if (from.cpu_cores) into.set_cpu_cores(*from.cpu_cores);
  into.set_cpus(from.usage.cpus());
  into.set_load1(from.usage.load1());
  into.set_memory_bytes(from.usage.memory_bytes());
  into.set_memory_used_bytes(from.usage.memory_bytes() - from.usage.memory_available_bytes());
  into.set_disk_bytes(from.usage.disk_bytes());
  into.set_disk_used_bytes(from.usage.disk_bytes() - from.usage.disk_available_bytes());
}

}  // namespace

v1::LoadView ToLoadView(const Cluster& cluster, const LoadBook& load, const AppId& app, Instant now,
                        WallTime wall_now) {
  v1::LoadView view;
  view.set_now_unix_ms(ToUnixMillis(wall_now));
  std::map<AppId, Group> by_app;
  std::map<NodeId, Group> by_node;
  // Nodes count the instances of all apps, whichever are shown.
  for (const InstanceStatus& instance : cluster.GetInstances({})) {
    if (instance.assignment.id.empty()) continue;  // pending: nothing runs
    const ProcessRates usage = load.UsageOf(instance.assignment.id, now);
    by_node[instance.assignment.node].Add(instance, usage);
    if (!app.empty() && instance.assignment.app != app) continue;
    by_app[instance.assignment.app].Add(instance, usage);
    Fill(instance, load.RequestsOf(instance.assignment.id, now), usage, *view.add_instances());
  }
  for (const AppId& id : app.empty() ? cluster.apps() : std::vector<AppId>{app}) {
    const absl::StatusOr<AppStatus> status = cluster.GetApp(id);
    if (!status.ok()) continue;
    const Group& group = by_app[id];
    v1::AppLoad& added = *view.add_apps();
    added.set_app(id.value);
    added.set_replicas(status->app.stopped ? 0 : status->app.replicas);
    added.set_available(status->available);
    Fill(load.RequestsOf(id, group.instances, now), group.in_flight, load.QueuedOf(id, now),
         *added.mutable_requests());
    *added.mutable_usage() = group.usage;
    added.set_history_step_seconds(static_cast<uint32_t>(LoadBook::kHistoryStep.count() / 1'000));
    for (const LoadBook::Point& point : load.HistoryOf(id)) {
      added.add_requests_history(point.requests_per_second);
      added.add_errors_history(point.errors_per_second);
      added.add_p99_history(point.p99_seconds);
    }
  }
  for (const NodeStatus& node : cluster.GetNodes(now)) {
    const Group& group = by_node[node.record.id];
    v1::NodeLoad& added = *view.add_nodes();
    added.set_name(node.record.id.value);
    added.set_state(NodeStateName(node.state));
    added.set_instances(node.instances);
    Fill(load.RequestsOf(group.instances, now), group.in_flight, 0, *added.mutable_requests());
    *added.mutable_usage() = group.usage;
    FillHost(load.HostOf(node.record.id, now), added);
  }
  return view;
}

}  // namespace pando::controller
