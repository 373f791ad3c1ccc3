#include "agent/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/shim/protocol.h"
#include "agent/shim/start_time.h"
#include "agent/spawn.h"
#include "common/runtime/data_dir.h"

namespace pando::agent {
namespace {

// Not in Debian 12's headers of glibc as functions for C++ everywhere: called by number.
int PidfdOpen(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

// Above the numbers the shim gets them as, so that none overwrites another.
UniqueFd Raise(int fd) { return UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 16)); }

}  // namespace

std::string BootId() {
  const auto text = ReadFile("/proc/sys/kernel/random/boot_id");
  return text.ok() ? text->substr(0, text->find('\n')) : std::string();
}

std::optional<UniqueFd> OpenProcess(const ProcessId& id) {
  if (id.pid <= 0) return std::nullopt;
  UniqueFd pidfd(PidfdOpen(id.pid));
  // The descriptor pins one process; if that one has the start time, it is the one that is meant.
  if (!pidfd.valid() || shim::ReadStartTime(id.pid) != id.start_time) return std::nullopt;
  return pidfd;
}

bool SignalProcess(const UniqueFd& pidfd, int signal) {
  return syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) == 0;
}

std::vector<std::string> ShimArguments(const ShimLaunch& launch) {
  std::vector<std::string> arguments = {"--instance-dir", launch.instance_dir, "--app-dir",
                                        launch.app_dir};
  for (const std::string& dir : launch.group) arguments.insert(arguments.end(), {"--cgroup", dir});
  if (launch.open_files > 0) {
    arguments.insert(arguments.end(), {"--open-files", absl::StrCat(launch.open_files)});
  }
  if (launch.processes > 0) {
    arguments.insert(arguments.end(), {"--processes", absl::StrCat(launch.processes)});
  }
  if (launch.account) {
    const Account& account = *launch.account;
    arguments.insert(arguments.end(), {"--user", absl::StrCat(account.uid, ":", account.gid, ":",
                                                              absl::StrJoin(account.groups, ","))});
  }
  if (launch.allow_new_privileges)
    arguments.insert(arguments.end(), {"--new-privileges", "allowed"});
  if (launch.private_tmp) arguments.insert(arguments.end(), {"--tmp", "private"});
  for (const std::string& path : launch.read_only) {
    arguments.insert(arguments.end(), {"--read-only", path});
  }
  return arguments;
}

absl::StatusOr<SpawnedShim> SpawnShim(const ShimLaunch& launch) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    return absl::ErrnoToStatus(errno, "cannot make a socket");
  }
  SpawnedShim spawned;
  spawned.session.reset(pair[0]);
  const UniqueFd shim_end(pair[1]);
  const UniqueFd session = Raise(shim_end.get());
  const UniqueFd port = Raise(launch.port_fd);
  const UniqueFd lock = Raise(launch.lock_fd);
  if (!session.valid() || !port.valid() || !lock.valid()) {
    return absl::ErrnoToStatus(errno, "cannot start a process");
  }

  std::vector<std::string> argv = {"pando-shim", "--incarnation", absl::StrCat(launch.incarnation),
                                   "--port", absl::StrCat(launch.port)};
  if (launch.fixed_port != 0) {
    argv.insert(argv.end(), {"--fixed-port", absl::StrCat(launch.fixed_port)});
    if (launch.preloaded) argv.insert(argv.end(), {"--preloaded", "yes"});
  }
  const std::vector<std::string> arguments = ShimArguments(launch);
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  argv.emplace_back("--");
  argv.insert(argv.end(), launch.argv.begin(), launch.argv.end());
  std::vector<std::string> environment = launch.environment;

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  const absl::Cleanup free_files = [&files] { posix_spawn_file_actions_destroy(&files); };
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&files, session.get(), shim::kSessionFd);
  posix_spawn_file_actions_adddup2(&files, port.get(), shim::kPortFd);
  posix_spawn_file_actions_adddup2(&files, lock.get(), shim::kLockFd);
  posix_spawn_file_actions_addclosefrom_np(&files, shim::kLockFd + 1);

  const SpawnAttributes attributes(POSIX_SPAWN_SETSID);

  const int error = posix_spawn(&spawned.id.pid, launch.shim_path.c_str(), &files, attributes.get(),
                                Pointers(argv).data(), Pointers(environment).data());
  if (error != 0) {
    return absl::ErrnoToStatus(error, absl::StrCat("cannot start ", launch.shim_path));
  }
  spawned.group = launch.group;
  spawned.mark = launch.mark;
  // Our child, not waited for: its pid is its own.
  spawned.pidfd.reset(PidfdOpen(spawned.id.pid));
  spawned.id.start_time = shim::ReadStartTime(spawned.id.pid);
  return spawned;
}

}  // namespace pando::agent
