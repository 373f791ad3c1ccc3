#include "ctl/exit_code.h"

namespace pando::ctl {

ExitCode ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return ExitCode::kOk;
    case absl::StatusCode::kDeadlineExceeded:
      return ExitCode::kTimeout;
    case absl::StatusCode::kAborted:
      return ExitCode::kConflict;
    case absl::StatusCode::kNotFound:
      return ExitCode::kNotFound;
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return ExitCode::kDenied;
    case absl::StatusCode::kUnavailable:
      return ExitCode::kUnreachable;
    default:
      return ExitCode::kError;
  }
}

const char* ExitCodeHelp() {
  return "Exit codes:\n"
         "  0  done\n"
         "  1  error (a bad spec, for example)\n"
         "  2  wrong usage\n"
         "  3  plan --exit-code: changes are pending\n"
         "  4  the rollout failed\n"
         "  5  accepted, but not everything can be placed\n"
         "  6  --timeout was over first\n"
         "  7  somebody else changed it at the same time\n"
         "  8  no such app, instance or node\n"
         "  9  not allowed\n"
         " 10  the controller cannot be reached\n";
}

}  // namespace pando::ctl
