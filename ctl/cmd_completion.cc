// ctl completion SHELL, and the hidden ctl __complete the scripts call for names.
#include <map>
#include <memory>
#include <set>

#include "ctl/command.h"
#include "ctl/completion.h"

namespace pando::ctl {

namespace {

// Somebody waits at a prompt: an answer later than this is none.
constexpr Millis kPatience{800};

// Says nothing on errors: the line being typed must stay as it is.
ExitCode CompleteNames(Context& context, const std::string& kind) {
  ClientOptions options;
  options.controller = context.client().controller();
  options.connect_timeout = kPatience;
  options.call_timeout = kPatience;
  Client client(options);
  const auto view = client.GetCluster(v1::ClusterRequest());
  if (!view.ok()) return ExitCodeOf(view.status());
  std::set<std::string> names;
  const bool things = kind == "things";  // all there are
  if (things || kind == "apps" || kind == "targets") {
    for (const auto& app : view->apps()) names.insert(app.name());
  }
  if (things || kind == "targets") {
    for (const auto& instance : view->instances()) names.insert(instance.name());
  }
  if (things || kind == "nodes") {
    for (const auto& node : view->nodes()) names.insert(node.name());
  }
  for (const std::string& name : names) context.out() << name << "\n";
  context.out() << std::flush;
  return ExitCode::kOk;
}

}  // namespace

void AddCompletionCommands(CommandLine& line) {
  auto shell = std::make_shared<std::string>();
  CLI::App& completion =
      line.Add("completion", "Print a completion script for a shell", [shell](Context& context) {
        const std::map<std::string, Shell> shells = {
            {"bash", Shell::kBash}, {"zsh", Shell::kZsh}, {"fish", Shell::kFish}};
        context.out() << CompletionScript(shells.at(*shell), context.root()) << std::flush;
        return ExitCode::kOk;
      });
  completion.add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->type_name("")
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  completion.footer(
      "For bash:  source <(ctl completion bash)\n"
      "For zsh:   source <(ctl completion zsh)\n"
      "For fish:  ctl completion fish | source");

  auto kind = std::make_shared<std::string>();
  CLI::App& names = line.Add("__complete", "Names for the completion scripts",
                             [kind](Context& context) { return CompleteNames(context, *kind); });
  names.add_option("KIND", *kind, "apps, targets, nodes or things")
      ->required()
      ->check(CLI::IsMember({"apps", "targets", "nodes", "things"}));
  names.group("");  // hidden
}

}  // namespace pando::ctl
