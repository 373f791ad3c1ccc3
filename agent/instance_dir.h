// What is kept on disk of one instance, from its first start until it is gone:
//   order.pb   what was ordered: an Orders of one assignment and its revision
//   lock       held (flock) by the shim, so that an instance never runs twice
//   run        who runs, written by the shim;   exit   how it ended, written by the shim
//   cgroup     the directories of its control group
//   tmp, var-tmp   what /tmp and /var/tmp are to the app, if its spec wants its own
//   state      the health the agent saw last, so that its restart does not forget it
//   shim.sock  where the shim listens;          out.log  what the app prints
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "agent/cgroup.h"
#include "agent/core/exit.h"
#include "agent/core/phase.h"
#include "agent/process.h"
#include "common/runtime/unique_fd.h"

namespace pando::agent {

struct RunRecord {
  std::string boot_id;
  ProcessId shim;
  ProcessId app;
  uint16_t port = 0;
  uint32_t incarnation = 0;
  int64_t started_unix_ms = 0;
};

struct ExitRecord {
  uint32_t incarnation = 0;
  Exit exit;
  std::string error;  // not empty: it could not be started
};

struct StateRecord {
  uint32_t incarnation = 0;
  Phase phase = Phase::kStarting;
  uint32_t failed_starts = 0;
  uint32_t oom_kills = 0;
  uint64_t child_oom_kills = 0;
  bool operator==(const StateRecord&) const = default;
};

class InstanceDir {
 public:
  explicit InstanceDir(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }

  // Makes the directory and keeps the order. Does nothing when both are there. Not synced: a power
  // cut leaves nothing running that would have to be known by it, and what has to be started is in
  // the agent's orders.
  absl::Status Create(const std::string& order_bytes);
  absl::StatusOr<std::string> ReadOrder() const;
  // Of an order that is spoilt: the next Create keeps another one.
  void DropOrder() const;
  void Remove() const;

  // Nothing when there is none, or none that can be read.
  std::optional<RunRecord> ReadRun() const;
  std::optional<ExitRecord> ReadExit() const;
  std::optional<StateRecord> ReadState() const;
  // Not synced: after a power cut no process is left whose health could be remembered.
  absl::Status WriteState(const StateRecord& state) const;

  // Before the group is made; empty when there is none. Not synced: a power cut ends groups too.
  absl::Status WriteCgroup(const Cgroup& group) const;
  Cgroup ReadCgroup() const;

  // The app's own /tmp and /var/tmp, empty.
  absl::Status MakeTmp() const;

  // kUnavailable: a shim holds it, so one is running.
  absl::StatusOr<UniqueFd> Lock() const;
  // A connection to the shim's socket; waits for no room there.
  absl::StatusOr<UniqueFd> Connect() const;

 private:
  std::string path_;
};

// Assignment ids become directory names: false for one that could leave its parent.
bool IsSafeFileName(const std::string& name);

}  // namespace pando::agent
