// ctl apply -f app.yaml: what the files say becomes true. It is planned first, and applied only to
// what was planned on: two people who apply at the same time do not undo each other's changes.
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "ctl/change.h"
#include "ctl/command.h"
#include "ctl/json.h"
#include "ctl/plan_view.h"
#include "ctl/spec_files.h"
#include "ctl/spec_sources.h"

namespace pando::ctl {

namespace {

struct ApplyArgs {
  std::vector<std::string> files;
  std::vector<std::string> if_generations;
  bool dry_run = false;
  bool force = false;
};

Change ChangeOf(const v1::ApplyResponse::App& app, Instant began) {
  Change change;
  change.target.app = app.name();
  change.target.change = app.old_revision() == 0 || app.old_revision() == app.revision()
                             ? absl::StrCat("r", app.revision())
                             : absl::StrCat("r", app.old_revision(), " -> r", app.revision());
  change.target.generation = app.generation();
  change.target.revision = app.revision();
  change.accepted.set_app(app.name());
  change.accepted.set_old_replicas(app.old_revision() == 0 ? app.replicas() : app.old_replicas());
  change.accepted.set_replicas(app.replicas());
  change.accepted.set_revision(app.revision());
  change.accepted.set_generation(app.generation());
  change.began = began;
  change.plan = ToJson(app);
  return change;
}

// "5" of the only app, or "web=5".
absl::Status TakeGenerations(const std::vector<std::string>& words, const v1::ApplyResponse& plan,
                             v1::ApplyRequest& request) {
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    std::string app = equals == std::string::npos ? "" : word.substr(0, equals);
    uint64_t generation = 0;
    if (!absl::SimpleAtoi(equals == std::string::npos ? word : word.substr(equals + 1),
                          &generation)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--if-generation: \"", word,
                       "\" is not a number or APP=NUMBER (ctl plan -o json: "
                       "old_generation)"));
    }
    if (app.empty()) {
      if (plan.apps_size() != 1) {
        return absl::InvalidArgumentError(
            "--if-generation: say of which app, for example web=5: there is not exactly one here");
      }
      app = plan.apps(0).name();
    }
    (*request.mutable_if_generations())[app] = generation;
  }
  return absl::OkStatus();
}

ExitCode Apply(Context& context, const ApplyArgs& args) {
  auto request = ReadSpecFiles(context.terminal(), args.files);
  if (!request.ok()) {
    return context.Fail(ExitCode::kError, std::string(request.status().message()));
  }
  if (const auto filled = FillSources(context, args.dry_run, *request); !filled.ok()) {
    return FailSpec(context, filled);
  }
  const Instant began = std::chrono::steady_clock::now();
  request->mutable_options()->set_force(args.force);
  request->set_dry_run(true);
  const auto plan = context.client().Apply(*request);
  if (!plan.ok()) return FailSpec(context, plan.status());
  if (args.dry_run) {
    PrintPlan(context, *plan);
    return ExitCode::kOk;
  }
  for (const auto& app : plan->apps()) {
    if (!app.refused().empty()) {
      return context.Fail(ExitCode::kRolloutFailed,
                          absl::StrCat(app.name(), ": nothing was changed: ", app.refused(),
                                       " (change it, or try it again with --force)"));
    }
    (*request->mutable_if_generations())[app.name()] = app.old_generation();
  }
  for (const auto& gateway : plan->gateway_plans()) {
    (*request->mutable_if_gateways())[gateway.name()] = gateway.old_version();
  }
  if (const auto taken = TakeGenerations(args.if_generations, *plan, *request); !taken.ok()) {
    return context.UsageError(std::string(taken.message()));
  }
  request->set_dry_run(false);
  const auto response = context.client().Apply(*request);
  if (!response.ok()) return FailSpec(context, response.status());
  const OutputFormat format = context.options().format;
  if (!IsDocument(format) && format != OutputFormat::kName) {
    context.out() << PlanText(*response, context.options().color) << std::flush;
  }
  std::vector<Change> changes;
  for (const auto& app : response->apps()) changes.push_back(ChangeOf(app, began));
  return FinishChanges(context, changes);
}

}  // namespace

void AddApplyCommand(CommandLine& line) {
  auto args = std::make_shared<ApplyArgs>();
  CLI::App& command =
      line.Add("apply", "Make what spec files say true: create or change apps and gateways",
               [args](Context& context) { return Apply(context, *args); });
  AddFileOption(command, args->files);
  command.add_flag("--dry-run", args->dry_run,
                   "Only check and say what would change, as plan does");
  command.add_flag("--force", args->force,
                   "Also what was rolled back before, or what no node there is can run");
  command
      .add_option("--if-generation", args->if_generations,
                  "Only if the app is still at this generation (ctl plan -o json); repeatable")
      ->type_name("[APP=]N")
      ->allow_extra_args(false);
}

}  // namespace pando::ctl
