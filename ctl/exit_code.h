// The exit codes scripts rely on; `ctl --help` and docs/operations.md list them.
#pragma once

#include "absl/status/status.h"

namespace pando::ctl {

enum class ExitCode {
  kOk = 0,
  kError = 1,
  kUsage = 2,
  kPending = 3,
  kRolloutFailed = 4,
  kNotPlaced = 5,
  kTimeout = 6,
  kConflict = 7,
  kNotFound = 8,
  kDenied = 9,
  kUnreachable = 10,
};

// For an answer of the controller, or of the connection to it.
ExitCode ExitCodeOf(const absl::Status& status);

// The list as `ctl --help` prints it.
const char* ExitCodeHelp();

}  // namespace pando::ctl
