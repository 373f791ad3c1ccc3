// ctl rollout status|history|undo|pause|resume|promote: releases on their way, and those before.
#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "ctl/change.h"
#include "ctl/command.h"
#include "ctl/format.h"
#include "ctl/json.h"

namespace pando::ctl {

namespace {

struct RolloutArgs {
  std::string action;
  std::string app;
  std::string to;
  bool all = false;
};

// "r3" or "3".
absl::StatusOr<uint32_t> ParseRevision(const std::string& text) {
  const std::string digits = text.substr(text.starts_with("r") ? 1 : 0);
  if (digits.empty() || digits.size() > 9 ||
      digits.find_first_not_of("0123456789") != std::string::npos || std::stoul(digits) == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--to: \"", text, "\" is not a revision (allowed: r1, r2, ...)"));
  }
  return static_cast<uint32_t>(std::stoul(digits));
}

ExitCode Finish(Context& context, const absl::StatusOr<v1::ChangeResponse>& accepted,
                const std::string& change, Instant began) {
  if (!accepted.ok()) return context.Fail(accepted.status());
  return FinishChanges(
      context,
      {{{accepted->app(), change, accepted->generation(), Goal::kSettled, accepted->revision()},
        *accepted,
        began}});
}

ExitCode Undo(Context& context, const RolloutArgs& args) {
  v1::UndoRequest request;
  request.set_app(args.app);
  if (!args.to.empty()) {
    const auto to = ParseRevision(args.to);
    if (!to.ok()) return context.UsageError(std::string(to.status().message()));
    request.set_to(*to);
  }
  const Instant began = std::chrono::steady_clock::now();
  const auto accepted = context.client().Undo(request);
  return Finish(context, accepted,
                accepted.ok() ? absl::StrCat("back to r", accepted->revision()) : "", began);
}

// A pause has arrived when it is stored.
ExitCode Pause(Context& context, const RolloutArgs& args) {
  v1::PauseRequest request;
  request.set_app(args.app);
  request.set_paused(true);
  const auto accepted = context.client().Pause(request);
  if (!accepted.ok()) return context.Fail(accepted.status());
  return FinishChange(context, *accepted, ExitCode::kOk,
                      absl::StrCat(accepted->app(), " r", accepted->revision(),
                                   " paused; go on with: ctl rollout resume ", accepted->app()));
}

ExitCode Resume(Context& context, const RolloutArgs& args) {
  v1::PauseRequest request;
  request.set_app(args.app);
  const Instant began = std::chrono::steady_clock::now();
  const auto accepted = context.client().Pause(request);
  return Finish(context, accepted, accepted.ok() ? absl::StrCat("r", accepted->revision()) : "",
                began);
}

ExitCode Promote(Context& context, const RolloutArgs& args) {
  v1::PromoteRequest request;
  request.set_app(args.app);
  request.set_all(args.all);
  const auto accepted = context.client().Promote(request);
  if (!accepted.ok()) return context.Fail(accepted.status());
  return FinishChange(context, *accepted, ExitCode::kOk,
                      absl::StrCat(accepted->app(), " r", accepted->revision(),
                                   " promoted; see: ctl rollout status ", accepted->app()));
}

std::string PausedText(const v1::AppView& app) {
  return absl::StrCat(app.name(), " r", app.revision(), " paused",
                      app.step() > 0 ? absl::StrCat(" in step ", app.step(), "/", app.steps()) : "",
                      ": in rotation ", app.available(), "/", app.replicas(), ", old ",
                      app.outdated(), "; go on with: ctl rollout resume ", app.name());
}

// What whoever is to promote has to go by.
void PrintLoads(Context& context, const v1::AppView& app) {
  const OutputFormat format = context.options().format;
  if (format != OutputFormat::kTable && format != OutputFormat::kWide) return;
  if (app.loads().empty()) {
    context.out() << "no request since it began" << std::endl;
    return;
  }
  Table table({"REV", "REQUESTS", "ERRORS", "P99"});
  for (const auto& load : app.loads()) {
    const double requests = static_cast<double>(std::max<uint64_t>(load.requests(), 1));
    table.Add({absl::StrCat("r", load.revision()), absl::StrCat(load.requests()),
               absl::StrFormat("%.1f%%", 100 * static_cast<double>(load.errors()) / requests),
               load.p99_ms() == 0 ? "-" : absl::StrCat("up to ", load.p99_ms(), " ms")});
  }
  context.out() << table.ToString(context.options().color);
}

ExitCode Status(Context& context, const RolloutArgs& args) {
  v1::ClusterRequest request;
  request.set_app(args.app);
  const Instant began = std::chrono::steady_clock::now();
  const auto view = context.client().GetCluster(request);
  if (!view.ok()) return context.Fail(view.status());
  if (view->apps().empty()) return context.Fail(absl::NotFoundError("there is no app yet"));
  if (view->apps_size() > 1) return context.UsageError("there are several apps; say which one");
  const v1::AppView& app = view->apps(0);
  v1::ChangeResponse accepted;
  accepted.set_app(app.name());
  accepted.set_revision(app.revision());
  accepted.set_replicas(app.replicas());
  accepted.set_old_replicas(app.replicas());
  accepted.set_generation(app.generation());
  if (app.rollout() == v1::AppView::ROLLED_BACK) {
    return FinishChange(context, accepted, ExitCode::kRolloutFailed,
                        absl::StrCat(app.name(), ": r", app.rolled_back(), " was rolled back to r",
                                     app.revision(), ": ", app.failure()),
                        &app);
  }
  // As with a step that waits: it is somebody's turn.
  if (app.rollout() == v1::AppView::PAUSED) {
    FinishChange(context, accepted, ExitCode::kOk, PausedText(app), &app);
    PrintLoads(context, app);
    return ExitCode::kOk;
  }
  const ExitCode code = Finish(context, accepted, absl::StrCat("r", app.revision()), began);
  if (code != ExitCode::kOk) return code;
  const auto now = context.client().GetCluster(request);
  if (now.ok() && now->apps_size() == 1 && now->apps(0).waits_for_promote()) {
    PrintLoads(context, now->apps(0));
  }
  return code;
}

std::string Changed(const v1::HistoryResponse::Release& release) {
  constexpr int kShown = 3;
  std::string text;
  for (int i = 0; i < std::min(release.changes_size(), kShown); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ", ", release.changes(i));
  }
  if (release.changes_size() > kShown) {
    absl::StrAppend(&text, ", and ", release.changes_size() - kShown, " more");
  }
  return text;
}

ExitCode History(Context& context, const RolloutArgs& args) {
  v1::AppRequest request;
  request.set_app(args.app);
  const auto history = context.client().History(request);
  if (!history.ok()) return context.Fail(history.status());
  const Options& options = context.options();
  if (IsDocument(options.format)) {
    PrintDocument(context.out(), options.format, ToJson(*history));
    return ExitCode::kOk;
  }
  Table table({"REV", "WHEN", "BY", "REASON", "CHANGED", "RESULT", "DETAIL"});
  for (const auto& release : history->releases()) {
    if (options.format == OutputFormat::kName) {
      context.out() << "r" << release.revision() << std::endl;
      continue;
    }
    table.Add({absl::StrCat("r", release.revision(), release.current() ? " *" : ""),
               FormatDateTime(release.created_unix_ms(), context.terminal().zone), release.by(),
               release.reason(), Changed(release), release.result(), release.result_detail()});
  }
  if (options.format != OutputFormat::kName) context.out() << table.ToString(options.color);
  return ExitCode::kOk;
}

ExitCode Rollout(Context& context, const RolloutArgs& args) {
  if (!args.to.empty() && args.action != "undo") {
    return context.UsageError(absl::StrCat("--to is for undo, not for ", args.action));
  }
  if (args.all && args.action != "promote") {
    return context.UsageError(absl::StrCat("--all is for promote, not for ", args.action));
  }
  if (args.action == "undo") return Undo(context, args);
  if (args.action == "pause") return Pause(context, args);
  if (args.action == "resume") return Resume(context, args);
  if (args.action == "promote") return Promote(context, args);
  if (args.action == "history") return History(context, args);
  return Status(context, args);
}

}  // namespace

void AddRolloutCommand(CommandLine& line) {
  auto args = std::make_shared<RolloutArgs>();
  CLI::App& command =
      line.Add("rollout", "Releases: how the newest is getting on, and back to an earlier one",
               [args](Context& context) { return Rollout(context, *args); });
  command.footer(
      "status   waits for the rollout, or until it is somebody's turn; 4 when it failed\n"
      "history  the releases that are kept, what they changed and what became of them\n"
      "undo     back to the last release that was live, or --to another one\n"
      "pause    nothing more is replaced\n"
      "resume   ends a pause\n"
      "promote  ends the present step, or --all\n\n"
      "The options of every command and the exit codes: ctl --help");
  command.add_option("ACTION", args->action, "status, history, undo, pause, resume or promote")
      ->required()
      ->check(CLI::IsMember(std::vector<std::string>(absl::StrSplit(kRolloutActions, ' '))))
      ->type_name("");
  AddAppArgument(command, args->app);
  command.add_option("--to", args->to, "undo: to this revision instead of the last live one")
      ->type_name("REV");
  command.add_flag("--all", args->all, "promote: end all steps, not only the present one");
}

}  // namespace pando::ctl
