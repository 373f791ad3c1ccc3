// ctl scale web 8 | web=8 | web +2 | web --replicas 8
#include <memory>

#include "absl/strings/str_cat.h"
#include "ctl/change.h"
#include "ctl/command.h"
#include "ctl/scale_args.h"

namespace pando::ctl {

namespace {

struct Args {
  std::vector<std::string> words;
  std::string replicas;
};

ExitCode Scale(Context& context, const Args& args) {
  const auto request = ParseScaleArgs(args.words, args.replicas);
  if (!request.ok()) return context.UsageError(std::string(request.status().message()));
  const Instant began = std::chrono::steady_clock::now();
  const auto accepted = context.client().Scale(*request);
  if (!accepted.ok()) return context.Fail(accepted.status());
  const std::string change = absl::StrCat(accepted->old_replicas(), " -> ", accepted->replicas());
  return FinishChanges(context,
                       {{{accepted->app(), change, accepted->generation()}, *accepted, began}});
}

}  // namespace

void AddScaleCommand(CommandLine& line) {
  auto args = std::make_shared<Args>();
  CLI::App& command = line.Add("scale", "Change how many instances of an app run",
                               [args](Context& context) { return Scale(context, *args); });
  command
      .add_option("APP", args->words,
                  "APP N, APP=N, APP +N, APP -N, or APP with --replicas; APP may be left out when "
                  "there is only one")
      ->type_name("")
      ->expected(0, 2);
  command.add_option("-r,--replicas", args->replicas, "The wanted number; +N and -N are relative")
      ->type_name("N");
}

}  // namespace pando::ctl
