#include "agent/process.h"

#include <dirent.h>
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
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/shim/group.h"
#include "agent/shim/protocol.h"
#include "agent/shim/start_time.h"
#include "common/runtime/data_dir.h"

namespace pando::agent {
namespace {

// Not in Debian 12's headers of glibc as functions for C++ everywhere: called by number.
int PidfdOpen(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

struct ProcStat {
  pid_t group = 0;
  pid_t session = 0;
  bool zombie = false;
};

std::optional<ProcStat> ReadProcStat(pid_t pid) {
  const auto text = ReadFile(absl::StrCat("/proc/", pid, "/stat"));
  if (!text.ok()) return std::nullopt;
  const size_t name_end = text->rfind(')');
  if (name_end == std::string::npos || name_end + 2 >= text->size()) return std::nullopt;
  // Behind the name: state ppid pgrp session ...
  const std::vector<absl::string_view> fields =
      absl::StrSplit(absl::string_view(*text).substr(name_end + 2), ' ');
  ProcStat stat;
  if (fields.size() < 4 || !absl::SimpleAtoi(fields[2], &stat.group) ||
      !absl::SimpleAtoi(fields[3], &stat.session)) {
    return std::nullopt;
  }
  stat.zombie = fields[0] == "Z" || fields[0] == "X";
  return stat;
}

bool IsRemnant(pid_t pid, pid_t group, pid_t session) {
  const auto stat = ReadProcStat(pid);
  return stat && !stat->zombie && stat->group == group && stat->session == session;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

int KillProcessGroup(const ProcessId& app, pid_t shim) {
  int found = 0;
  DIR* const proc = opendir("/proc");
  if (proc == nullptr) return 0;
  const absl::Cleanup close_proc = [proc] { closedir(proc); };
  while (const dirent* entry = readdir(proc)) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(entry->d_name, &pid) || !IsRemnant(pid, app.pid, shim)) continue;
    // The leader's name is known exactly; were it somebody else, so would be the group.
    if (pid == app.pid && shim::ReadStartTime(pid) != app.start_time) return 0;
    const UniqueFd pidfd(PidfdOpen(pid));
    if (!pidfd.valid() || !IsRemnant(pid, app.pid, shim)) continue;
    SignalProcess(pidfd, SIGKILL);
    ++found;
  }
  return found;
}

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

int KillRemains(const Traces& traces) {
  // All directories of a group hold the same processes.
  const int in_group = traces.group.empty() ? 0 : shim::KillGroup(traces.group[0].c_str());
  return in_group + (traces.app ? KillProcessGroup(*traces.app, traces.shim) : 0);
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

  std::vector<std::string> argv = {"pando-shim",
                                   "--incarnation",
                                   absl::StrCat(launch.incarnation),
                                   "--port",
                                   absl::StrCat(launch.port),
                                   "--instance-dir",
                                   launch.instance_dir,
                                   "--app-dir",
                                   launch.app_dir};
  for (const std::string& dir : launch.group) argv.insert(argv.end(), {"--cgroup", dir});
  if (launch.open_files > 0) {
    argv.insert(argv.end(), {"--open-files", absl::StrCat(launch.open_files)});
  }
  if (launch.processes > 0) {
    argv.insert(argv.end(), {"--processes", absl::StrCat(launch.processes)});
  }
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

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  const absl::Cleanup free_attributes = [&attributes] { posix_spawnattr_destroy(&attributes); };
  sigset_t set;
  sigemptyset(&set);
  posix_spawnattr_setsigmask(&attributes, &set);
  sigfillset(&set);
  posix_spawnattr_setsigdefault(&attributes, &set);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  const int error = posix_spawn(&spawned.pid, launch.shim_path.c_str(), &files, &attributes,
                                Pointers(argv).data(), Pointers(environment).data());
  if (error != 0) {
    return absl::ErrnoToStatus(error, absl::StrCat("cannot start ", launch.shim_path));
  }
  spawned.group = launch.group;
  spawned.pidfd.reset(PidfdOpen(spawned.pid));  // our child, not waited for: its pid is its own
  return spawned;
}

}  // namespace pando::agent
