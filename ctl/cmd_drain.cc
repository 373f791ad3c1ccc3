// ctl drain NODE: nothing new goes there, and what runs there moves elsewhere; waits until it has.
#include <memory>

#include "absl/strings/str_cat.h"
#include "ctl/change.h"
#include "ctl/command.h"
#include "ctl/drain_wait.h"
#include "ctl/format.h"
#include "ctl/json.h"
#include "ctl/progress.h"

namespace pando::ctl {

namespace {

constexpr Millis kTick{100};
constexpr Millis kLongest{24 * 3'600'000};

struct DrainArgs {
  std::string node;
  std::string deadline;
};

void Print(Context& context, const v1::DrainResponse& accepted, std::string_view outcome,
           const std::string& message) {
  const OutputFormat format = context.options().format;
  if (IsDocument(format)) {
    PrintDocument(context.out(), format,
                  JsonObject()
                      .Text("name", accepted.node())
                      .Number("instances", static_cast<uint64_t>(accepted.instances()))
                      .Text("outcome", outcome)
                      .Text("message", message)
                      .Str());
  } else if (format == OutputFormat::kName) {
    context.out() << accepted.node() << std::endl;
  } else {
    context.out() << message << std::endl;
  }
}

ExitCode Await(Context& context, const v1::DrainResponse& accepted, Instant began) {
  DrainPolicy policy;
  policy.timeout = context.options().timeout;
  DrainWait wait(accepted.node(), policy, began);
  Progress progress(context.terminal(), context.options().quiet);
  const auto watch = context.client().Watch({});
  while (!wait.outcome()) {
    const auto news = watch->Next(std::chrono::steady_clock::now() + kTick);
    const Instant now = std::chrono::steady_clock::now();
    if (const auto* view = std::get_if<v1::ClusterView>(&news)) {
      wait.Observe(*view, now);
    } else if (const auto* status = std::get_if<absl::Status>(&news)) {
      return context.Fail(*status);
    } else {
      if (std::holds_alternative<ClusterWatch::Lost>(news)) {
        progress.Say("ctl: the controller went away; the drain goes on when it returns");
      }
      wait.Tick(now);
    }
    if (!wait.outcome()) progress.Show(wait.ProgressLine(now), wait.ProgressText(), now);
  }
  const ExitCode code = *wait.outcome();
  if (code != ExitCode::kOk) {
    context.Fail(code, wait.ResultLine());
    if (!IsDocument(context.options().format)) return code;
  }
  Print(context, accepted, code == ExitCode::kOk ? "drained" : OutcomeWord(code),
        wait.ResultLine());
  return code;
}

ExitCode Drain(Context& context, const DrainArgs& args) {
  v1::DrainRequest request;
  request.set_node(args.node);
  if (!args.deadline.empty()) {
    const absl::StatusOr<Millis> deadline = ParseDuration(args.deadline);
    if (!deadline.ok()) {
      return context.UsageError(absl::StrCat("--deadline: ", deadline.status().message()));
    }
    if (*deadline > kLongest) {
      return context.UsageError(
          absl::StrCat("--deadline: ", args.deadline, " is too long (allowed: up to 24h)"));
    }
    request.set_deadline_ms(static_cast<uint32_t>(deadline->count()));
  }
  const Instant began = std::chrono::steady_clock::now();
  const auto accepted = context.client().Drain(request);
  if (!accepted.ok()) return context.Fail(accepted.status());
  if (context.options().detach) {
    Print(context, *accepted, "accepted",
          absl::StrCat(accepted->node(), " drain accepted, ", accepted->instances(),
                       " instances to move"));
    return ExitCode::kOk;
  }
  return Await(context, *accepted, began);
}

}  // namespace

void AddDrainCommand(CommandLine& line) {
  auto args = std::make_shared<DrainArgs>();
  CLI::App& command = line.Add("drain", "Move everything away from a node, and place nothing there",
                               [args](Context& context) { return Drain(context, *args); });
  command.add_option("NODE", args->node, "The node's name, see `ctl nodes`")
      ->required()
      ->type_name("");
  command
      .add_option("--deadline", args->deadline,
                  "After this, what has no place elsewhere goes all the same (90s, 10m)")
      ->type_name("TIME");
}

}  // namespace pando::ctl
