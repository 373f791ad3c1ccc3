#include "agent/translate.h"

#include <signal.h>
#include <string.h>

#include <cstdlib>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/utf8.h"

namespace pando::agent {
namespace {

// Specs come with every default filled in; 0 appears only in hand-made messages.
Millis OrElse(uint32_t millis, Millis fallback) { return millis > 0 ? Millis{millis} : fallback; }

ProbePolicy::Kind ToKind(v1::HealthCheck::Kind kind) {
  switch (kind) {
    case v1::HealthCheck::HTTP:
      return ProbePolicy::Kind::kHttp;
    case v1::HealthCheck::EXEC:
      return ProbePolicy::Kind::kExec;
    case v1::HealthCheck::GRPC:
      return ProbePolicy::Kind::kGrpc;
    default:
      return ProbePolicy::Kind::kTcp;
  }
}

ProbePolicy ToProbePolicy(const v1::HealthCheck& health) {
  ProbePolicy probe;
  probe.kind = ToKind(health.kind());
  probe.path = health.path();
  probe.headers.insert(health.headers().begin(), health.headers().end());
  probe.host = health.host();
  for (const v1::HealthCheck::Codes& codes : health.codes()) {
    probe.codes.emplace_back(codes.first(), codes.last());
  }
  probe.command.assign(health.command().begin(), health.command().end());
  probe.service = health.service();
  probe.interval = OrElse(health.interval_ms(), probe.interval);
  probe.timeout = OrElse(health.timeout_ms(), probe.timeout);
  if (health.healthy_threshold() > 0) {
    probe.healthy_threshold = static_cast<int>(health.healthy_threshold());
  }
  if (health.unhealthy_threshold() > 0) {
    probe.unhealthy_threshold = static_cast<int>(health.unhealthy_threshold());
  }
  probe.startup = OrElse(health.startup_ms(), probe.startup);
  return probe;
}

CommandLine ToCommandLine(const v1::AppSpec& spec) {
  CommandLine command;
  if (spec.shell()) {
    command.argv = {"/bin/sh", "-c", absl::StrCat("exec ", absl::StrJoin(spec.command(), " "))};
  } else {
    command.argv.assign(spec.command().begin(), spec.command().end());
  }
  command.dir = spec.dir();
  command.env.insert(spec.env().begin(), spec.env().end());
  command.env_files.assign(spec.env_files().begin(), spec.env_files().end());
  command.fixed_port = static_cast<uint16_t>(spec.port().fixed());
  return command;
}

Artifact ToArtifact(const v1::Source& source, const v1::Isolation& isolation) {
  Artifact artifact;
  artifact.digest = source.digest();
  artifact.size_bytes = source.size_bytes();
  if (source.install_shell()) {
    artifact.install = {"/bin/sh", "-c", absl::StrJoin(source.install(), " ")};
  } else {
    artifact.install.assign(source.install().begin(), source.install().end());
  }
  artifact.install_timeout = OrElse(source.install_timeout_ms(), artifact.install_timeout);
  if (!artifact.install.empty()) {
    artifact.user = isolation.user();
    artifact.group = isolation.group();
  }
  return artifact;
}

Assignment ToAssignment(const v1::Assignment& ordered, const v1::AppSpec& spec) {
  Assignment assignment;
  assignment.id = {ordered.id()};
  assignment.app = {ordered.app()};
  assignment.slot = ordered.slot();
  assignment.revision = ordered.revision();
  assignment.artifact = ToArtifact(spec.source(), spec.isolation());
  assignment.command = ToCommandLine(spec);
  assignment.metrics_path = spec.metrics().path();
  assignment.probe = ToProbePolicy(spec.health());
  if (spec.has_startup()) assignment.startup_probe = ToProbePolicy(spec.startup());
  if (spec.has_liveness()) assignment.liveness_probe = ToProbePolicy(spec.liveness());
  assignment.stop.signal = SignalNumber(spec.stop().signal());
  if (spec.has_stop()) assignment.stop.grace = Millis{spec.stop().grace_ms()};
  RestartPolicy& restart = assignment.restart;
  restart.backoff.initial = OrElse(spec.restart().backoff_initial_ms(), restart.backoff.initial);
  restart.backoff.ceiling = OrElse(spec.restart().backoff_max_ms(), restart.backoff.ceiling);
  restart.reset_after = OrElse(spec.restart().reset_after_ms(), restart.reset_after);
  const v1::Resources& use = spec.resources();
  assignment.limits = {use.max_cpu_millis(), use.max_memory_bytes(), use.max_processes(),
                       use.max_open_files()};
  const v1::Isolation& isolation = spec.isolation();
  assignment.isolation = {isolation.user(),
                          isolation.group(),
                          isolation.allow_new_privileges(),
                          isolation.private_tmp(),
                          {isolation.read_only().begin(), isolation.read_only().end()}};
  return assignment;
}

v1::InstanceStatus::Phase ToProto(Phase phase) {
  switch (phase) {
    case Phase::kStarting:
      return v1::InstanceStatus::STARTING;
    case Phase::kReady:
      return v1::InstanceStatus::READY;
    case Phase::kUnhealthy:
      return v1::InstanceStatus::UNHEALTHY;
    case Phase::kBackoff:
      return v1::InstanceStatus::BACKOFF;
    case Phase::kStopping:
      return v1::InstanceStatus::STOPPING;
    case Phase::kFailed:
      return v1::InstanceStatus::FAILED;
    case Phase::kPreparing:
      return v1::InstanceStatus::PREPARING;
  }
  std::abort();  // not an enumerator
}

}  // namespace

std::vector<Assignment> ToAssignments(const v1::Orders& orders) {
  std::map<std::pair<std::string, uint32_t>, const v1::AppSpec*> specs;
  for (const v1::Revision& revision : orders.revisions()) {
    specs[{revision.app(), revision.revision()}] = &revision.spec();
  }
  std::vector<Assignment> assignments;
  for (const v1::Assignment& ordered : orders.assignments()) {
    const auto spec = specs.find({ordered.app(), ordered.revision()});
    if (spec != specs.end()) assignments.push_back(ToAssignment(ordered, *spec->second));
  }
  return assignments;
}

v1::Orders Excerpt(const v1::Orders& orders, const std::string& assignment_id) {
  v1::Orders excerpt;
  for (const v1::Assignment& assignment : orders.assignments()) {
    if (assignment.id() != assignment_id) continue;
    *excerpt.add_assignments() = assignment;
    for (const v1::Revision& revision : orders.revisions()) {
      if (revision.app() == assignment.app() && revision.revision() == assignment.revision()) {
        *excerpt.add_revisions() = revision;
      }
    }
  }
  return excerpt;
}

v1::InstanceStatus ToProto(const InstanceStatus& status) {
  v1::InstanceStatus proto;
  proto.set_assignment_id(status.assignment.value);
  proto.set_app(status.app.value);
  proto.set_slot(status.slot);
  proto.set_revision(status.revision);
  proto.set_phase(ToProto(status.phase));
  proto.set_port(status.port);
  proto.set_pid(status.pid);
  proto.set_incarnation(status.incarnation);
  proto.set_restarts(status.restarts);
  proto.set_failed_starts(status.failed_starts);
  proto.set_started_unix_ms(status.started_unix_ms);
  proto.set_detail(ToValidUtf8(status.detail));
  proto.set_crashes(status.crashes);
  proto.set_oom_kills(status.oom_kills);
  proto.set_child_oom_kills(status.child_oom_kills);
  if (status.last_exit) {
    v1::InstanceStatus::Exit& exit = *proto.mutable_last_exit();
    exit.set_code(status.last_exit->code);
    exit.set_signal(status.last_exit->signal);
    exit.set_oom_killed(WasOomKilled(*status.last_exit));
    exit.set_cpu_seconds(static_cast<double>(status.last_exit->cpu_ms) / 1'000);
    exit.set_max_memory_bytes(status.last_exit->max_resident_bytes);
  }
  return proto;
}

int SignalNumber(const std::string& name) {
  for (int number = 1; number < NSIG; ++number) {
    const char* const abbreviation = sigabbrev_np(number);
    if (abbreviation != nullptr && name == absl::StrCat("SIG", abbreviation)) return number;
  }
  return SIGTERM;
}

}  // namespace pando::agent
