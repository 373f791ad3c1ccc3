// ctl events [-f]: what happened, and why.
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "ctl/command.h"
#include "ctl/format.h"
#include "ctl/json.h"

namespace pando::ctl {

namespace {

struct EventsArgs {
  std::string app;
  bool follow = false;
  uint32_t tail = 100;
  const CLI::Option* tail_option = nullptr;
  std::string since;
};

Color KindColor(const std::string& kind) {
  for (const char* bad : {"lost", "fail", "exited", "frozen", "unhealthy", "refused"}) {
    if (kind.find(bad) != std::string::npos) return Color::kRed;
  }
  return Color::kNone;
}

// Columns of a fixed width: a stream cannot know the widest cell to come.
void PrintEvent(Context& context, const v1::Event& event) {
  const Options& options = context.options();
  if (IsDocument(options.format)) {
    return PrintDocumentOfSeries(context.out(), options.format, ToJson(event));
  }
  const std::string& subject = event.instance().empty() ? event.app() : event.instance();
  std::string line = absl::StrFormat(
      "%s  %s  %-12s  %-10s  %s", FormatDateTime(event.time_unix_ms(), context.terminal().zone),
      Paint(absl::StrFormat("%-18s", event.kind()), KindColor(event.kind()), options.color),
      subject.empty() ? "-" : subject, event.node().empty() ? "-" : event.node(), event.message());
  line.erase(line.find_last_not_of(' ') + 1);
  context.out() << line << "\n" << std::flush;
}

ExitCode Events(Context& context, const EventsArgs& args) {
  v1::EventsRequest request;
  request.set_app(args.app);
  request.set_tail(args.tail);
  if (!args.since.empty()) {
    const auto since = ParseDuration(args.since);
    if (!since.ok()) {
      return context.UsageError(absl::StrCat("--since: ", since.status().message()));
    }
    request.set_since_unix_ms(absl::ToUnixMillis(absl::Now()) - since->count());
    if (args.tail_option->empty()) request.set_tail(0);
  }
  const auto print = [&](const v1::Event& event) { PrintEvent(context, event); };
  const auto lost = [&] {
    context.terminal().err << "ctl: the controller went away; waiting for it to return"
                           << std::endl;
  };
  const absl::Status status = args.follow ? context.client().FollowEvents(request, print, lost)
                                          : context.client().Events(request, print);
  return status.ok() ? ExitCode::kOk : context.Fail(status);
}

}  // namespace

void AddEventsCommand(CommandLine& line) {
  auto args = std::make_shared<EventsArgs>();
  CLI::App& command = line.Add("events", "What happened to the cluster or one app, oldest first",
                               [args](Context& context) { return Events(context, *args); });
  command.add_option("APP", args->app, "Only this app")->type_name("");
  command.add_flag("-f,--follow", args->follow, "Go on with new events");
  args->tail_option =
      command.add_option("--tail", args->tail, "Events of the past; 0 for all that are kept")
          ->type_name("N")
          ->capture_default_str();
  command
      .add_option("--since", args->since,
                  "Events of the last 10m, 2h, ...; all of them unless "
                  "--tail is said, too")
      ->type_name("DURATION");
}

}  // namespace pando::ctl
