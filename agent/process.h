// Processes as the kernel knows them. A process is named by boot id, pid and start time, and is
// signalled only through a pidfd opened for that name: never by its pid, which may be a stranger's
// by then.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/account.h"
#include "agent/cgroup.h"
#include "common/runtime/unique_fd.h"

namespace pando::agent {

// Of this boot: records of another boot name nobody.
std::string BootId();

struct ProcessId {
  pid_t pid = 0;
  uint64_t start_time = 0;  // clock ticks since boot
  bool operator==(const ProcessId&) const = default;
};

// A descriptor of the process, or nothing when it does not run any more.
std::optional<UniqueFd> OpenProcess(const ProcessId& id);
// False when it is gone.
bool SignalProcess(const UniqueFd& pidfd, int signal);

struct ShimLaunch {
  std::string shim_path;
  std::string instance_dir;
  std::string app_dir;
  std::vector<std::string> argv;
  std::vector<std::string> environment;  // "NAME=value"
  uint32_t incarnation = 0;
  uint16_t port = 0;
  uint16_t fixed_port = 0;  // what the app binds instead of it; 0: nothing
  bool preloaded = false;   // with a library that leads it there
  int port_fd = -1;         // the port's reservation
  int lock_fd = -1;         // the instance directory's lock
  Cgroup group;             // the app is put into it
  uint32_t open_files = 0;  // limits; 0: as the agent's
  uint32_t processes = 0;
  std::optional<Account> account;  // as whom the app runs; none: as the agent
  bool allow_new_privileges = false;
  bool private_tmp = false;  // shim::kTmpDir and kVarTmpDir are in the instance directory
  std::vector<std::string> read_only;
  std::string mark;
};
struct SpawnedShim {
  ProcessId id;
  std::optional<ProcessId> app;  // of one that is taken over; else the session tells
  UniqueFd pidfd;
  UniqueFd session;
  Cgroup group;
  std::string mark;  // in the environment of all it starts, see agent/remains.h
};
// What tells a shim where the app runs and what it is held to: its options but for those of the
// watching.
std::vector<std::string> ShimArguments(const ShimLaunch& launch);
// Starts a shim in its own session; it outlives this process. The descriptors are inherited.
absl::StatusOr<SpawnedShim> SpawnShim(const ShimLaunch& launch);

}  // namespace pando::agent
