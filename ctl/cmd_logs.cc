// ctl logs [-f]: the output of an app's instances, together, in the order of its times.
#include <chrono>
#include <functional>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/status_macros.h"
#include "common/base/time.h"
#include "ctl/command.h"
#include "ctl/format.h"
#include "ctl/json.h"

namespace pando::ctl {

namespace {

constexpr uint32_t kAllLines = UINT32_MAX;

struct LogsArgs {
  std::string target;
  bool follow = false;
  std::string tail;
  std::string since;
  bool previous = false;
};

// Neighbours differ, and the same instance has the same color in every run.
std::string PaintInstance(const std::string& text, const std::string& instance, bool color) {
  if (!color) return text;
  constexpr int kColors[] = {36, 33, 32, 35, 34, 96, 93, 92, 95, 94};
  uint32_t slot = 0;
  if (!absl::SimpleAtoi(instance.substr(instance.rfind('.') + 1), &slot)) slot = 0;
  return absl::StrCat("\x1b[", kColors[slot % std::size(kColors)], "m", text, "\x1b[0m");
}

void PrintEntry(Context& context, const v1::LogEntry& entry) {
  const Options& options = context.options();
  if (IsDocument(options.format)) {
    return PrintDocumentOfSeries(context.out(), options.format, ToJson(entry));
  }
  if (!entry.notice().empty()) {
    context.terminal().err << "ctl: " << entry.notice() << std::endl;
    return;
  }
  const std::string prefix =
      absl::StrCat(entry.instance(), " ", entry.node(), " ",
                   FormatClock(entry.time_unix_ms(), context.terminal().zone));
  context.out() << PaintInstance(prefix, entry.instance(), options.color) << " "
                << Paint(entry.text(), entry.is_stderr() ? Color::kYellow : Color::kNone,
                         options.color)
                << "\n"
                << std::flush;
}

// "10m", or a point in time: "2026-11-24T10:00:00Z".
absl::StatusOr<int64_t> ParseSince(const std::string& text, WallTime now) {
  absl::Time time;
  std::string ignored;
  if (absl::ParseTime(absl::RFC3339_full, text, &time, &ignored)) return absl::ToUnixMillis(time);
  const auto ago = ParseDuration(text);
  if (ago.ok()) return ToUnixMillis(now - *ago);
  return absl::InvalidArgumentError(absl::StrCat("--since: \"", text,
                                                 "\" is neither a duration (10m, 1h30m) nor a time "
                                                 "(2026-11-24T10:00:00Z)"));
}

absl::StatusOr<v1::LogsRequest> ToRequest(const LogsArgs& args, WallTime now) {
  v1::LogsRequest request;
  request.set_target(args.target);
  request.set_follow(args.follow);
  request.set_previous(args.previous);
  if (args.follow && args.previous) {
    return absl::InvalidArgumentError("--previous: what has ended cannot be followed");
  }
  uint32_t tail = args.since.empty() ? 100 : kAllLines;
  if (args.tail == "all") {
    tail = kAllLines;
  } else if (!args.tail.empty() && !absl::SimpleAtoi(args.tail, &tail)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--tail: \"", args.tail, "\" is not a number of lines (or all)"));
  }
  request.set_tail(tail);
  if (!args.since.empty()) {
    PANDO_ASSIGN_OR_RETURN(const int64_t since, ParseSince(args.since, now));
    request.set_since_unix_ms(since);
  }
  return request;
}

ExitCode Logs(Context& context, const LogsArgs& args) {
  const auto request = ToRequest(args, std::chrono::system_clock::now());
  if (!request.ok()) return context.UsageError(std::string(request.status().message()));
  const absl::Status status = context.client().Logs(
      *request, [&](const v1::LogEntry& entry) { PrintEntry(context, entry); });
  return status.ok() ? ExitCode::kOk : context.Fail(status);
}

}  // namespace

void AddLogsCommand(CommandLine& line) {
  auto args = std::make_shared<LogsArgs>();
  CLI::App& command = line.Add("logs", "What the instances of an app print",
                               [args](Context& context) { return Logs(context, *args); });
  command
      .add_option("APP|INSTANCE", args->target,
                  "An app, or one instance like web.3; may be left out when there is only one app")
      ->type_name("");
  command.add_flag("-f,--follow", args->follow, "Go on with new lines, and new instances");
  command
      .add_option("--tail", args->tail,
                  "Newest lines of the past, of all instances together, or all "
                  "[100; all with --since]")
      ->type_name("N");
  command.add_option("--since", args->since, "Lines from then on: 10m, or 2026-11-24T10:00:00Z")
      ->type_name("TIME");
  command.add_flag("--previous", args->previous, "What the run before the current one printed");
}

}  // namespace pando::ctl
