// A command that makes unpacked code ready, such as `npm ci`.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/base/time.h"

namespace pando::agent {

struct InstallStep {
  std::vector<std::string> argv;
  std::vector<std::string> runner = {};  // a program that starts what follows it; empty: none
  std::string user = "";                 // its USER and LOGNAME; empty: it has none
  std::string dir;
  std::string home;  // its HOME
  std::string log;   // where all of its output goes, see install_log.h
  Millis timeout{600'000};
  int lock_fd = -1;  // inherited, so that it is held for as long as anything of the step runs
};
struct InstallResult {
  absl::Status status;  // "install failed: exit 1: <last line>"; kCancelled: stopped
  std::vector<std::string> last_lines;  // that it printed; few, and short
};

// Runs it to its end, in a session of its own of which nothing is left then, and blocks meanwhile.
// It gets PATH, LANG and HOME, USER and LOGNAME where `user` says so, and nothing else of this
// process's environment. `stop` is asked ten times a second.
InstallResult RunInstallStep(const InstallStep& step, const std::function<bool()>& stop);

}  // namespace pando::agent
