// What an instance leaves behind when its shim is killed: found by its control group, by the app's
// process group, and by the environment it was started with.
#pragma once

#include <optional>
#include <string>

#include "agent/cgroup.h"
#include "agent/process.h"

namespace pando::agent {

// By what an instance's processes are known when there is no shim that could tell.
struct Traces {
  std::optional<ProcessId> app;  // the leader of its process group
  ProcessId shim;                // the leader of its session
  Cgroup group;
  std::string mark;  // "NAME=value" in their environment that no other instance's have; "": none
};

// Kills (SIGKILL) all of them but the shim itself, which must be gone. Returns how many were still
// there: call again until it is none. Signals nobody else: numbers that were given to others since
// then are recognised.
int KillRemains(const Traces& traces);

}  // namespace pando::agent
