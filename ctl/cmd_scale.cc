// ctl scale web 8 | web=8 | web +2 | web --replicas 8
#include <memory>

#include "absl/strings/str_cat.h"
#include "ctl/change.h"
#include "ctl/command.h"
#include "ctl/scale_args.h"

namespace pando::ctl {

namespace {

struct Args {
  std::string app;
  std::string count;
  std::string replicas;
};

ExitCode Scale(Context& context, const Args& args) {
  std::vector<std::string> words;
  for (const std::string& word : {args.app, args.count}) {
    if (!word.empty()) words.push_back(word);
  }
  const auto request = ParseScaleArgs(words, args.replicas);
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
  command.add_option("APP", args->app, "The app, or APP=N; may be left out when there is only one")
      ->type_name("");
  command.add_option("N", args->count, "The wanted number; +N and -N are relative")->type_name("");
  command.add_option("-r,--replicas", args->replicas, "Another way to say N")->type_name("N");
}

}  // namespace pando::ctl
