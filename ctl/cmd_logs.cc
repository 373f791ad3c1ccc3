// ctl logs [-f]: the output of an app's instances, together.
#include <functional>
#include <memory>

#include "absl/strings/str_cat.h"
#include "ctl/command.h"
#include "ctl/format.h"
#include "ctl/json.h"

namespace pando::ctl {

namespace {

struct Args {
  std::string target;
  bool follow = false;
  uint32_t tail = 100;
};

// The same instance has the same color in every run.
std::string PaintInstance(const std::string& text, const std::string& instance, bool color) {
  if (!color) return text;
  constexpr int kColors[] = {32, 33, 34, 35, 36, 92, 93, 94, 95, 96};
  uint32_t hash = 2166136261;  // FNV-1a
  for (const char c : instance) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619;
  return absl::StrCat("\x1b[", kColors[hash % std::size(kColors)], "m", text, "\x1b[0m");
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

ExitCode Logs(Context& context, const Args& args) {
  v1::LogsRequest request;
  request.set_target(args.target);
  request.set_follow(args.follow);
  request.set_tail(args.tail);
  const absl::Status status = context.client().Logs(
      request, [&](const v1::LogEntry& entry) { PrintEntry(context, entry); });
  return status.ok() ? ExitCode::kOk : context.Fail(status);
}

}  // namespace

void AddLogsCommand(CommandLine& line) {
  auto args = std::make_shared<Args>();
  CLI::App& command = line.Add("logs", "What the instances of an app print",
                               [args](Context& context) { return Logs(context, *args); });
  command
      .add_option("APP|INSTANCE", args->target,
                  "An app, or one instance like web.3; may be left out when there is only one app")
      ->type_name("");
  command.add_flag("-f,--follow", args->follow, "Go on with new lines, and new instances");
  command.add_option("--tail", args->tail, "Lines of the past per instance")
      ->type_name("N")
      ->capture_default_str();
}

}  // namespace pando::ctl
