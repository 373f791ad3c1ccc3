// ctl scale web 8 | web=8 | web +2 | web --replicas 8
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "ctl/change.h"
#include "ctl/command.h"
#include "ctl/scale_args.h"

namespace pando::ctl {

namespace {

struct ScaleArgs {
  std::string app;
  std::string count;
  std::string replicas;
  uint64_t if_generation = 0;
};

// A number is based on the one that it replaces: when somebody else changes the app in between,
// this one is not made. +N and -N are right whatever the number is by then.
absl::Status SetBasis(Context& context, const ScaleArgs& args, v1::ScaleRequest& request) {
  if (args.if_generation != 0 || request.relative()) {
    request.mutable_options()->set_if_generation(args.if_generation);
    return absl::OkStatus();
  }
  v1::ClusterRequest question;
  question.set_app(request.app());
  const auto view = context.client().GetCluster(question);
  if (!view.ok()) return view.status();
  // Of several the controller will ask which is meant.
  if (view->apps_size() != 1) return absl::OkStatus();
  request.mutable_options()->set_if_generation(view->apps(0).generation());
  return absl::OkStatus();
}

ExitCode Scale(Context& context, const ScaleArgs& args) {
  std::vector<std::string> words;
  for (const std::string& word : {args.app, args.count}) {
    if (!word.empty()) words.push_back(word);
  }
  auto request = ParseScaleArgs(words, args.replicas);
  if (!request.ok()) return context.UsageError(std::string(request.status().message()));
  if (const absl::Status set = SetBasis(context, args, *request); !set.ok()) {
    return context.Fail(set);
  }
  const Instant began = std::chrono::steady_clock::now();
  const auto accepted = context.client().Scale(*request);
  if (!accepted.ok()) return context.Fail(accepted.status());
  const std::string change = absl::StrCat(accepted->old_replicas(), " -> ", accepted->replicas());
  return FinishChanges(context,
                       {{{accepted->app(), change, accepted->generation()}, *accepted, began}});
}

}  // namespace

void AddScaleCommand(CommandLine& line) {
  auto args = std::make_shared<ScaleArgs>();
  CLI::App& command = line.Add("scale", "Change how many instances of an app run",
                               [args](Context& context) { return Scale(context, *args); });
  command.add_option("APP", args->app, "The app, or APP=N; may be left out when there is only one")
      ->type_name("");
  command.add_option("N", args->count, "The wanted number; +N and -N are relative")->type_name("");
  command.add_option("-r,--replicas", args->replicas, "Another way to say N")->type_name("N");
  command
      .add_option("--if-generation", args->if_generation,
                  "Only if the app is still at this generation (ctl status -o json)")
      // CLI11 takes -1 for the largest number.
      ->check([](const std::string& word) {
        return absl::StartsWith(word, "-")
                   ? absl::StrCat("\"", word, "\" is not a number (allowed: 0, 1, ...)")
                   : std::string();
      })
      ->type_name("N");
}

}  // namespace pando::ctl
