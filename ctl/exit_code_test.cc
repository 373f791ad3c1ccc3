#include "ctl/exit_code.h"

#include <gtest/gtest.h>

namespace pando::ctl {
namespace {

TEST(ExitCodeTest, EveryAnswerHasItsCode) {
  const std::pair<absl::StatusCode, ExitCode> cases[] = {
      {absl::StatusCode::kOk, ExitCode::kOk},
      {absl::StatusCode::kInvalidArgument, ExitCode::kError},
      {absl::StatusCode::kFailedPrecondition, ExitCode::kError},
      {absl::StatusCode::kInternal, ExitCode::kError},
      {absl::StatusCode::kDeadlineExceeded, ExitCode::kTimeout},
      {absl::StatusCode::kAborted, ExitCode::kConflict},
      {absl::StatusCode::kNotFound, ExitCode::kNotFound},
      {absl::StatusCode::kPermissionDenied, ExitCode::kDenied},
      {absl::StatusCode::kUnauthenticated, ExitCode::kDenied},
      {absl::StatusCode::kUnavailable, ExitCode::kUnreachable},
  };
  for (const auto& [code, want] : cases) EXPECT_EQ(ExitCodeOf(absl::Status(code, "x")), want);
}

}  // namespace
}  // namespace pando::ctl
