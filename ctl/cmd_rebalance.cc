// ctl rebalance [APP] [--plan]: moves instances to where they are spread better.
#include <memory>

#include "absl/strings/str_cat.h"
#include "ctl/command.h"
#include "ctl/format.h"
#include "ctl/json.h"
#include "ctl/output.h"
#include "ctl/progress.h"

namespace pando::ctl {

namespace {

constexpr Millis kTick{100};

struct RebalanceArgs {
  std::string app;
  bool plan = false;
};

void Print(Context& context, const v1::RebalanceResponse& response, const std::string& message) {
  const OutputFormat format = context.options().format;
  if (IsDocument(format)) {
    PrintDocument(context.out(), format,
                  JsonObject()
                      .Raw("moves", ToJsonArray(response.moves()))
                      .Number("at_once", static_cast<uint64_t>(response.at_once()))
                      .Text("message", message)
                      .Str());
    return;
  }
  if (format == OutputFormat::kName) {
    for (const auto& move : response.moves()) context.out() << move.instance() << std::endl;
    return;
  }
  if (!response.moves().empty()) {
    Table table({"INSTANCE", "FROM", "TO", "WHY"});
    for (const auto& move : response.moves()) {
      table.Add({move.instance(), move.from(), move.to(), move.reason()});
    }
    context.out() << table.ToString(context.options().color);
  }
  context.out() << message << std::endl;
}

// Until nothing moves and nothing waits to be moved.
ExitCode Await(Context& context, const v1::RebalanceResponse& response, Instant began) {
  Progress progress(context.terminal(), context.options().quiet);
  const auto watch = context.client().Watch({});
  for (;;) {
    const auto news = watch->Next(std::chrono::steady_clock::now() + kTick);
    const Instant now = std::chrono::steady_clock::now();
    const std::string elapsed = FormatElapsed(std::chrono::duration_cast<Millis>(now - began));
    if (const auto* view = std::get_if<v1::ClusterView>(&news)) {
      if (view->moves_left() == 0) {
        progress.Clear();
        Print(context, response, absl::StrCat("rebalanced  ", elapsed));
        return ExitCode::kOk;
      }
      uint32_t moving = 0;
      for (const auto& instance : view->instances()) moving += instance.leaving() ? 1 : 0;
      const std::string text = absl::StrCat("rebalancing  ", moving, " moving");
      progress.Show(absl::StrCat(text, "  ", elapsed), text, now);
    } else if (const auto* status = std::get_if<absl::Status>(&news)) {
      return context.Fail(*status);
    } else if (std::holds_alternative<ClusterWatch::Lost>(news)) {
      return context.Fail(
          ExitCode::kUnreachable,
          "the controller went away; moves that began are finished or undone by it");
    }
    if (now - began >= context.options().timeout) {
      return context.Fail(ExitCode::kTimeout,
                          absl::StrCat("not done after ", elapsed, "; the rebalance goes on"));
    }
  }
}

ExitCode Rebalance(Context& context, const RebalanceArgs& args) {
  v1::RebalanceRequest request;
  request.set_app(args.app);
  request.set_plan(args.plan);
  const Instant began = std::chrono::steady_clock::now();
  const auto response = context.client().Rebalance(request);
  if (!response.ok()) return context.Fail(response.status());
  if (response->moves().empty()) {
    Print(context, *response, "nothing to move");
    return ExitCode::kOk;
  }
  const std::string count =
      absl::StrCat(response->moves_size(), " to move, ", response->at_once(), " at a time");
  if (args.plan || context.options().detach) {
    Print(context, *response, count);
    return ExitCode::kOk;
  }
  return Await(context, *response, began);
}

}  // namespace

void AddRebalanceCommand(CommandLine& line) {
  auto args = std::make_shared<RebalanceArgs>();
  CLI::App& command =
      line.Add("rebalance", "Move instances to where they are spread better, a few at a time",
               [args](Context& context) { return Rebalance(context, *args); });
  command.add_option("APP", args->app, "Only this app")->type_name("");
  command.add_flag("--plan", args->plan, "Only say what would be moved");
}

}  // namespace pando::ctl
