#include "agent/launcher.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/account.h"
#include "agent/env_file.h"
#include "agent/environment.h"
#include "agent/port_reservation.h"
#include "agent/preload.h"
#include "common/base/status_macros.h"

namespace pando::agent {
namespace {

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

}  // namespace pando::agent
