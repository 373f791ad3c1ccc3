#include "controller/core/crash_loop.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace pando::controller {

bool IsCrashLoop(const InstanceReport& report) {
  switch (report.phase) {
    case Phase::kStarting:
    case Phase::kBackoff:
    case Phase::kFailed:
      return report.crashes >= kCrashesInALoop;
    case Phase::kReady:
    case Phase::kUnhealthy:
    case Phase::kStopping:
    case Phase::kPreparing:
      return false;
  }
  return false;
}

std::string DescribeCrash(const InstanceReport& report) {
  std::string text = report.detail;
  if (report.phase == Phase::kReady && !text.empty()) return text;  // which is of no crash
  if (report.crashes > 1) {
    absl::StrAppend(&text, text.empty() ? "crashed " : ", ", report.crashes, " times in a row");
  }
  if (report.crashes > 0 && !report.last_lines.empty()) {
    absl::StrAppend(&text, text.empty() ? "" : ": ", absl::StrJoin(report.last_lines, " | "));
  }
  return text;
}

}  // namespace pando::controller
