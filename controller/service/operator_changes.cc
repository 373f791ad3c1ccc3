#include "controller/service/operator_changes.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "controller/spec/mistakes.h"

namespace pando::controller {
namespace {

constexpr size_t kMaxRequestId = 64;
constexpr size_t kMaxBy = 128;
constexpr size_t kMaxTold = 3;

// Of apps, each with a generation of its own.
constexpr std::string_view kAppChanges[] = {"applied",   "scaled",   "stopped",    "started",
                                            "restarted", "removed",  "undone",     "paused",
                                            "resumed",   "promoted", "rolled-back"};
constexpr std::string_view kOtherChanges[] = {"gateway-applied", "gateway-removed", "node-cordoned",
                                              "node-uncordoned", "node-draining",   "unfrozen",
                                              "rebalance"};

bool IsIn(const auto& kinds, std::string_view kind) {
  return std::find(std::begin(kinds), std::end(kinds), kind) != std::end(kinds);
}

bool IsPrintable(const std::string& text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); });
}

absl::Status CheckText(const char* field, const std::string& text, size_t most) {
  if (text.size() <= most && IsPrintable(text)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", Quoted(text), " is not allowed (",
                                                 most, " bytes at most, no control characters)"));
}

std::string TimeOf(const v1::EventRecord& event) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::FromUnixMillis(event.time_unix_ms()),
                          absl::UTCTimeZone());
}

// The newest `count` changes of the app, oldest first.
std::vector<std::string> ChangesOf(const AppId& app, size_t count, const Timeline& timeline) {
  std::vector<std::string> changes;
  const auto& events = timeline.events();
  for (auto it = events.rbegin(); it != events.rend() && changes.size() < count; ++it) {
    if (it->app() != app.value || !IsIn(kAppChanges, it->kind())) continue;
    changes.push_back(absl::StrCat(TimeOf(*it), " ", it->kind(), it->message().empty() ? "" : ": ",
                                   it->message()));
  }
  std::reverse(changes.begin(), changes.end());
  return changes;
}

}  // namespace

absl::Status CheckOptions(const v1::ChangeOptions& options) {
  if (absl::Status bad = CheckText("options.request_id", options.request_id(), kMaxRequestId);
      !bad.ok()) {
    return bad;
  }
  return CheckText("options.by", options.by(), kMaxBy);
}

void NoteBy(const std::string& by, std::vector<TimelineEvent>& events) {
  if (by.empty()) return;
  const std::string note = absl::StrCat("by ", by);
  for (TimelineEvent& event : events) {
    if (!IsIn(kAppChanges, event.kind) && !IsIn(kOtherChanges, event.kind)) continue;
    if (absl::EndsWith(event.message, note)) continue;
    absl::StrAppend(&event.message, event.message.empty() ? "" : ", ", note);
  }
}

std::string DescribeConflict(const Conflict& conflict, const Timeline& timeline) {
  const std::string& app = conflict.app.value;
  std::string text;
  size_t changes = 1;
  if (conflict.present == 0) {
    text = absl::StrCat(app, " is gone");
  } else if (conflict.based_on == 0) {
    text = absl::StrCat(app, " is there already");
    changes = conflict.present;
  } else {
    text = absl::StrCat(app, " is not what this change is based on any more");
    if (conflict.present > conflict.based_on) changes = conflict.present - conflict.based_on;
  }
  absl::StrAppend(&text, " (generation ", conflict.based_on, ", now ", conflict.present, ")");
  const std::vector<std::string> told =
      ChangesOf(conflict.app, std::min(changes, kMaxTold), timeline);
  if (!told.empty()) absl::StrAppend(&text, ": ", absl::StrJoin(told, "; "));
  return absl::StrCat(text, "; nothing was changed, look again and repeat it");
}

}  // namespace pando::controller
