// Starting the app: a child in its own process group that dies with its parent.
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "agent/shim/isolation.h"
#include "agent/shim/port_lead.h"

namespace pando::shim {

// What the app is held to from its first instruction on.
struct Confinement {
  static constexpr int kMaxGroups = 4;
  const char* groups[kMaxGroups] = {};  // directories of its control group, one per hierarchy
  int group_count = 0;
  long open_files = 0;  // 0: as inherited
  long processes = 0;   // of its user, where no control group counts them; 0: as inherited
};

struct AppStart {
  const char* dir = "";  // "" is where we are
  char** argv = nullptr;
  Confinement confinement;
  Isolation isolation;
  PortLead lead;
};

struct AppProcess {
  pid_t pid = -1;      // -1: not started, `error` says why
  int stdout_fd = -1;  // read ends, non-blocking
  int stderr_fd = -1;
  int binds_fd = -1;  // its bind() calls, each to be answered; -1: they are not told
  char error[512] = "";
};

// Runs argv with this process's environment in `dir`. The command is looked up in PATH unless it
// has a slash; with one it is relative to `dir`.
void StartApp(const AppStart& start, AppProcess& app);

// Becomes the command of a probe: runs argv as the app would be, in this process. What goes wrong
// is said on standard error, then it exits with 127. It dies with the agent that started it: nobody
// else would end it at its timeout.
[[noreturn]] void RunProbe(const AppStart& start);

}  // namespace pando::shim
