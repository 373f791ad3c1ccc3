// Starting the app: a child in its own process group that dies with its parent.
#pragma once

#include <stddef.h>
#include <sys/types.h>

namespace pando::shim {

struct AppProcess {
  pid_t pid = -1;      // -1: not started, `error` says why
  int stdout_fd = -1;  // read ends, non-blocking
  int stderr_fd = -1;
  char error[512] = "";
};

// Runs argv with this process's environment in `dir` ("" is where we are). The command is looked up
// in PATH unless it has a slash; with one it is relative to `dir`.
void StartApp(const char* dir, char** argv, AppProcess& app);

}  // namespace pando::shim
