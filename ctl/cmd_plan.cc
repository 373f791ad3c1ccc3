// ctl plan -f app.yaml: what apply would do; nothing is changed.
#include <memory>

#include "ctl/command.h"
#include "ctl/json.h"
#include "ctl/plan_view.h"
#include "ctl/spec_files.h"
#include "ctl/spec_sources.h"

namespace pando::ctl {

namespace {

struct PlanArgs {
  std::vector<std::string> files;
  bool exit_code = false;
};

ExitCode Plan(Context& context, const PlanArgs& args) {
  auto request = ReadSpecFiles(context.terminal(), args.files);
  if (!request.ok()) {
    return context.Fail(ExitCode::kError, std::string(request.status().message()));
  }
  const absl::Status filled = FillSources(context, /*dry_run=*/true, *request);
  if (!filled.ok()) return FailSpec(context, filled);
  request->set_dry_run(true);
  const auto plan = context.client().Apply(*request);
  if (!plan.ok()) return FailSpec(context, plan.status());
  PrintPlan(context, *plan);
  return args.exit_code && IsPending(*plan) ? ExitCode::kPending : ExitCode::kOk;
}

}  // namespace

// A bad spec's lines name file, line and field already.
ExitCode FailSpec(Context& context, const absl::Status& status) {
  if (status.code() != absl::StatusCode::kInvalidArgument) return context.Fail(status);
  context.terminal().err << std::string(status.message()) << std::endl;
  return ExitCode::kError;
}

void PrintPlan(Context& context, const v1::ApplyResponse& plan) {
  const Options& options = context.options();
  if (IsDocument(options.format)) {
    const std::string json = JsonObject().Bool("pending", IsPending(plan)).Str();
    // One object of both.
    PrintDocument(context.out(), options.format,
                  json.substr(0, json.size() - 1) + "," + ToJson(plan).substr(1));
  } else if (options.format == OutputFormat::kName) {
    for (const auto& app : plan.apps()) {
      if (IsPending(app)) context.out() << app.name() << std::endl;
    }
  } else {
    context.out() << PlanText(plan, options.color) << PlanSummary(plan) << std::endl;
  }
}

void AddPlanCommand(CommandLine& line) {
  auto args = std::make_shared<PlanArgs>();
  CLI::App& command = line.Add("plan", "Say what apply would do with spec files; change nothing",
                               [args](Context& context) { return Plan(context, *args); });
  AddFileOption(command, args->files);
  command.add_flag("--exit-code", args->exit_code, "End with code 3 when changes are pending");
}

}  // namespace pando::ctl
