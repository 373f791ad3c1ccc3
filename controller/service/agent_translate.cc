#include "controller/service/agent_translate.h"

#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace pando::controller {
namespace {

std::optional<Phase> ToPhase(v1::InstanceStatus::Phase phase) {
  switch (phase) {
    case v1::InstanceStatus::STARTING:
      return Phase::kStarting;
    case v1::InstanceStatus::READY:
      return Phase::kReady;
    case v1::InstanceStatus::UNHEALTHY:
      return Phase::kUnhealthy;
    case v1::InstanceStatus::BACKOFF:
      return Phase::kBackoff;
    case v1::InstanceStatus::STOPPING:
      return Phase::kStopping;
    case v1::InstanceStatus::FAILED:
      return Phase::kFailed;
    case v1::InstanceStatus::PREPARING:
      return Phase::kPreparing;
    default:
      return std::nullopt;  // a newer agent's word
  }
}

}  // namespace

absl::StatusOr<NodeHello> ToNodeHello(const v1::Hello& hello) {
  const std::pair<const char*, const std::string*> required[] = {
      {"node", &hello.node()}, {"agent_id", &hello.agent_id()}, {"address", &hello.address()}};
  for (const auto& [field, value] : required) {
    if (value->empty()) {
      return absl::InvalidArgumentError(absl::StrCat("hello without ", field));
    }
  }
  NodeHello result;
  result.node = {hello.node()};
  result.agent_id = hello.agent_id();
  result.address = hello.address();
  result.version = hello.version();
  result.labels = {hello.labels().begin(), hello.labels().end()};
  result.cpu_millis = hello.cpu_millis();
  result.memory_bytes = hello.memory_bytes();
  result.max_instances = hello.max_instances();
  for (const v1::InstanceStatus& status : hello.instances()) {
    if (auto report = ToInstanceReport(status)) result.instances.push_back(*std::move(report));
  }
  return result;
}

std::optional<InstanceReport> ToInstanceReport(const v1::InstanceStatus& status) {
  const std::optional<Phase> phase = ToPhase(status.phase());
  if (!phase || status.assignment_id().empty() || status.port() > 65535) return std::nullopt;
  return InstanceReport{.assignment = {status.assignment_id()},
                        .phase = *phase,
                        .port = static_cast<uint16_t>(status.port()),
                        .pid = status.pid(),
                        .incarnation = status.incarnation(),
                        .restarts = status.restarts(),
                        .failed_starts = status.failed_starts(),
                        .started_unix_ms = status.started_unix_ms(),
                        .detail = status.detail(),
                        .crashes = status.crashes(),
                        .last_lines = {status.last_lines().begin(), status.last_lines().end()},
                        .child_oom_kills = status.child_oom_kills()};
}

v1::Orders ToOrders(const NodeOrders& orders, const Cluster& cluster) {
  v1::Orders result;
  std::set<std::pair<AppId, uint32_t>> revisions;
  for (const Assignment& assignment : orders.assignments) {
    v1::Assignment& added = *result.add_assignments();
    added.set_id(assignment.id.value);
    added.set_app(assignment.app.value);
    added.set_slot(assignment.slot);
    added.set_revision(assignment.revision);
    revisions.emplace(assignment.app, assignment.revision);
  }
  for (const auto& [app, number] : revisions) {
    const Revision* revision = cluster.FindRevision(app, number);
    if (revision == nullptr) continue;  // the agent keeps running what it has of it
    v1::Revision& added = *result.add_revisions();
    added.set_app(app.value);
    added.set_revision(number);
    added.mutable_spec()->ParseFromString(revision->config.payload);
  }
  return result;
}

}  // namespace pando::controller
