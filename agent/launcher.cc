#include "agent/launcher.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/account.h"
#include "agent/env_file.h"
#include "agent/environment.h"
#include "agent/port_reservation.h"
#include "agent/preload.h"
#include "agent/remains.h"
#include "agent/shim/start_time.h"
#include "agent/shim_client.h"
#include "common/base/status_macros.h"
#include "common/runtime/log.h"

namespace pando::agent {
namespace {

constexpr int kAnswerTimeoutMs = 1'000;
constexpr int kPollMs = 10;

// Reads what the shim says when one connects, without taking it from the session's reader.
std::optional<ShimEvent> PeekState(const UniqueFd& session) {
  for (int waited = 0; waited < kAnswerTimeoutMs; waited += kPollMs) {
    char line[1'024];
    const ssize_t size = recv(session.get(), line, sizeof(line), MSG_PEEK | MSG_DONTWAIT);
    if (size == 0) return std::nullopt;
    const absl::string_view text(line, size > 0 ? static_cast<size_t>(size) : 0);
    if (const size_t end = text.find('\n'); end != absl::string_view::npos) {
      return ParseShimLine(text.substr(0, end));
    }
    pollfd poll_fd = {session.get(), POLLIN, 0};
    poll(&poll_fd, 1, kPollMs);
  }
  return std::nullopt;
}

absl::StatusOr<SpawnedShim> ConnectToShim(const InstanceDir& dir) {
  PANDO_ASSIGN_OR_RETURN(UniqueFd session, dir.Connect());
  ucred peer = {};
  socklen_t size = sizeof(peer);
  if (getsockopt(session.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return absl::UnavailableError("the instance's shim has no pid");
  }
  // The shim's own pid, from its listen(): it holds the connection, so it runs.
  const ProcessId id{peer.pid, shim::ReadStartTime(peer.pid)};
  auto pidfd = OpenProcess(id);
  if (!pidfd) return absl::UnavailableError("the instance's shim has just ended");
  return SpawnedShim{id, *std::move(pidfd), std::move(session), {}, ""};
}

// How the last incarnation ended, for one that does not run.
std::string DescribeEnd(const std::optional<RunRecord>& run, const std::optional<ExitRecord>& exit,
                        const std::string& boot_id, uint64_t max_memory_bytes) {
  if (exit && (!run || exit->incarnation >= run->incarnation)) {
    return exit->error.empty() ? DescribeExit(exit->exit, max_memory_bytes) : exit->error;
  }
  if (!run) return "";
  return run->boot_id != boot_id ? "the host was restarted" : "its shim was killed";
}

// The shim is gone. What cannot be killed, being in uninterruptible sleep, is told and left: the
// others are not to wait for it.
void KillAllRemains(const Traces& traces, const InstanceDir& dir) {
  int left = 0;
  for (int waited = 0; waited < kAnswerTimeoutMs; waited += kPollMs) {
    left = KillRemains(traces);
    if (left == 0) return;
    poll(nullptr, 0, kPollMs);
  }
  LogWarn("what is left of an instance cannot be killed",
          {{"instance_dir", dir.path()}, {"processes", absl::StrCat(left)}});
}

absl::Status CheckMayIsolate(const Isolation& isolation) {
  if (geteuid() == 0) return absl::OkStatus();
  if (isolation.private_tmp) {
    return absl::PermissionDeniedError("isolation.private_tmp needs an agent that runs as root");
  }
  if (!isolation.read_only.empty()) {
    return absl::PermissionDeniedError("isolation.read_only needs an agent that runs as root");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SpawnedShim> Launcher::Launch(const Assignment& assignment, const Spawn& spawn,
                                             const InstanceDir& dir) {
  if (assignment.command.argv.empty() || assignment.command.argv[0].empty()) {
    return absl::InvalidArgumentError("the app has no command");
  }
  PANDO_ASSIGN_OR_RETURN(const UniqueFd lock, dir.Lock());
  absl::StatusOr<UniqueFd> reservation = absl::UnavailableError("no port was tried");
  const auto port = ports_.Allocate(spawn.previous_port, [&](uint16_t candidate) {
    reservation = ReservePort(candidate);
    return !absl::IsUnavailable(reservation.status());
  });
  if (!port) {
    return absl::ResourceExhaustedError(absl::StrCat("no free port in ", config_.ports.first, "-",
                                                     config_.ports.last, " (--port-range)"));
  }
  if (!reservation.ok()) return reservation.status();
  PANDO_ASSIGN_OR_RETURN(ShimLaunch launch, Describe(assignment, dir, *port));
  if (launch.private_tmp) PANDO_RETURN_IF_ERROR(dir.MakeTmp());
  if (config_.groups != nullptr) {
    const UseLimits& limits = assignment.limits;
    PANDO_RETURN_IF_ERROR(dir.WriteCgroup(launch.group));
    PANDO_RETURN_IF_ERROR(config_.groups->Make(
        launch.group, {limits.cpu_millis, limits.memory_bytes, limits.processes}));
  }
  launch.incarnation = spawn.incarnation;
  launch.port_fd = reservation->get();
  launch.lock_fd = lock.get();
  return SpawnShim(launch);
}

absl::StatusOr<ProbeCommand> Launcher::MakeProbeCommand(const Assignment& assignment,
                                                        const InstanceDir& dir,
                                                        uint16_t port) const {
  PANDO_ASSIGN_OR_RETURN(ShimLaunch launch, Describe(assignment, dir, port));
  launch.group = dir.ReadCgroup();  // where the app is, not where it would be started now
  return ProbeCommand{.shim_path = launch.shim_path,
                      .shim_arguments = ShimArguments(launch),
                      .argv = {},
                      .environment = std::move(launch.environment)};
}

absl::StatusOr<ShimLaunch> Launcher::Describe(const Assignment& assignment, const InstanceDir& dir,
                                              uint16_t port) const {
  const Isolation& isolation = assignment.isolation;
  PANDO_RETURN_IF_ERROR(CheckMayIsolate(isolation));
  PANDO_ASSIGN_OR_RETURN(std::optional<Account> account, FindAccount(isolation));
  PANDO_ASSIGN_OR_RETURN(const auto file_variables,
                         ReadEnvFiles(assignment.command.env_files, assignment.command.dir));
  std::vector<std::string> environment =
      AppEnvironment(environ, account, file_variables, assignment, config_.node, dir.path(), port);
  bool preloaded = false;
  if (assignment.command.fixed_port != 0) {
    PANDO_ASSIGN_OR_RETURN(
        preloaded, PreloadFixedPort(assignment.command, port, FixedPortLibrary(config_.shim_path),
                                    environment));
  }
  const bool counts_processes = config_.groups != nullptr && config_.groups->limits_processes();
  return ShimLaunch{
      .shim_path = config_.shim_path,
      .instance_dir = dir.path(),
      .app_dir = assignment.command.dir,
      .argv = assignment.command.argv,
      .environment = std::move(environment),
      .port = port,
      .fixed_port = assignment.command.fixed_port,
      .preloaded = preloaded,
      .group = config_.groups != nullptr ? config_.groups->At(assignment.id.value) : Cgroup{},
      .open_files = assignment.limits.open_files,
      .processes = counts_processes ? 0 : assignment.limits.processes,
      .account = std::move(account),
      .allow_new_privileges = isolation.allow_new_privileges,
      .private_tmp = isolation.private_tmp,
      .read_only = isolation.read_only,
      .mark = InstanceMark(dir.path())};
}

absl::StatusOr<FoundInstance> FindInstance(const InstanceDir& dir, const std::string& boot_id,
                                           uint64_t max_memory_bytes) {
  FoundInstance found;
  Remains& remains = found.remains;
  for (int waited = 0; waited < kAnswerTimeoutMs; waited += kPollMs) {
    if (auto lock = dir.Lock(); lock.ok() || !absl::IsUnavailable(lock.status())) break;
    // A shim runs. One that was just started may not listen yet; one that ends lets go of the lock.
    if (auto shim = ConnectToShim(dir); shim.ok()) {
      const auto event = PeekState(shim->session);
      if (event && std::holds_alternative<ShimRunning>(*event)) {
        const auto& running = std::get<ShimRunning>(*event);
        remains.incarnation = running.incarnation;
        remains.port = running.port;
        remains.pid = running.app.pid;
        remains.started_unix_ms = running.started_unix_ms;
        found.shim = *std::move(shim);
        found.shim->group = dir.ReadCgroup();
        found.shim->mark = InstanceMark(dir.path());
        break;
      }
    }
    poll(nullptr, 0, kPollMs);
    if (waited + kPollMs >= kAnswerTimeoutMs) {
      return absl::UnavailableError("the instance's shim runs and does not answer");
    }
  }

  const auto state = dir.ReadState();
  if (!found.shim) {
    const auto run = dir.ReadRun();
    const auto exit = dir.ReadExit();
    Traces traces{std::nullopt, {}, dir.ReadCgroup(), ""};
    if (run && run->boot_id == boot_id) {
      traces.mark = InstanceMark(dir.path());
      traces.app = run->app;
      traces.shim = run->shim;
    }
    KillAllRemains(traces, dir);
    RemoveCgroup(traces.group);
    remains.ended_because = DescribeEnd(run, exit, boot_id, max_memory_bytes);
    if (exit && exit->error.empty()) remains.last_exit = exit->exit;
    if (run) remains.port = run->port;
    if (run) remains.started_unix_ms = run->started_unix_ms;
    remains.incarnation = std::max(
        {run ? run->incarnation : 0, exit ? exit->incarnation : 0, state ? state->incarnation : 0});
  }
  if (state) remains.failed_starts = state->failed_starts;
  if (state) remains.oom_kills = state->oom_kills;
  if (state && state->incarnation == remains.incarnation) {
    remains.phase = state->phase;
    remains.child_oom_kills = state->child_oom_kills;
  }
  return found;
}

}  // namespace pando::agent
