// What commands share: the global options, what a running command may use, and how a command is
// declared on the command line.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "common/base/time.h"
#include "ctl/client.h"
#include "ctl/exit_code.h"
#include "ctl/output.h"
#include "ctl/terminal.h"

namespace pando::ctl {

struct Options {
  std::string controller;
  OutputFormat format = OutputFormat::kTable;
  Millis timeout{300'000};
  bool detach = false;
  bool color = false;  // for stdout
  bool quiet = false;
};

// Given to a command while it runs.
class Context {
 public:
  Context(Terminal& terminal, Options options, const CLI::App& root);

  Terminal& terminal() { return terminal_; }
  std::ostream& out() { return terminal_.out; }
  const Options& options() const { return options_; }
  const CLI::App& root() const { return root_; }
  Client& client() { return *client_; }

  // Prints "ctl: <message>" and returns the code that goes with it.
  ExitCode Fail(const absl::Status& status);
  ExitCode Fail(ExitCode code, const std::string& message);
  ExitCode UsageError(const std::string& message);

 private:
  Terminal& terminal_;
  Options options_;
  const CLI::App& root_;
  std::unique_ptr<Client> client_;
};

using Action = std::function<ExitCode(Context&)>;

class CommandLine {
 public:
  explicit CommandLine(const Terminal& terminal);

  // A command and what it does. Options of the result are parsed before `action` runs.
  CLI::App& Add(const std::string& name, const std::string& description, Action action);

  CLI::App& root() { return root_; }
  const CLI::App& root() const { return root_; }
  const Action& chosen() const { return chosen_; }
  // Of the parsed command line. Error: a bad value of a global option.
  absl::StatusOr<Options> ParsedOptions(const Terminal& terminal) const;

 private:
  CLI::App root_;
  Action chosen_;
  std::string controller_;
  std::string output_ = "table";
  std::string timeout_ = "5m";
  bool detach_ = false;
  bool no_color_ = false;
  bool quiet_ = false;
};

// "see ctl scale --help": where usage errors point to.
std::string HelpHint(const CLI::App& root);

// The optional positional APP, as most commands have it.
CLI::Option* AddAppArgument(CLI::App& command, std::string& app);
// -f FILE, repeatable.
CLI::Option* AddFileOption(CLI::App& command, std::vector<std::string>& files);

// What `ctl rollout` does, for itself and for completion.
inline constexpr char kRolloutActions[] = "status history undo pause resume promote";

// What the commands that take specs have in common (cmd_plan.cc).
ExitCode FailSpec(Context& context, const absl::Status& status);
void PrintPlan(Context& context, const v1::ApplyResponse& plan);

// One per command family.
void AddApplyCommand(CommandLine& line);
void AddPlanCommand(CommandLine& line);
void AddPushCommand(CommandLine& line);
void AddScaleCommand(CommandLine& line);
void AddRolloutCommand(CommandLine& line);
void AddImportCommand(CommandLine& line);
void AddListCommands(CommandLine& line);
void AddLifecycleCommands(CommandLine& line);
void AddLogsCommand(CommandLine& line);
void AddEventsCommand(CommandLine& line);
void AddTopCommand(CommandLine& line);
void AddBenchCommand(CommandLine& line);
void AddNodeCommands(CommandLine& line);
void AddDrainCommand(CommandLine& line);
void AddRebalanceCommand(CommandLine& line);
void AddWhyCommand(CommandLine& line);
void AddSpecCommand(CommandLine& line);
void AddVersionCommand(CommandLine& line);
void AddCompletionCommands(CommandLine& line);

}  // namespace pando::ctl
