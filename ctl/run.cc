#include "ctl/run.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "ctl/command.h"

namespace pando::ctl {

namespace {

ExitCode UsageError(Terminal& terminal, std::string message) {
  message = absl::StrReplaceAll(message, {{"\n", " "}});
  terminal.err << "ctl: " << message << " (see ctl --help)" << std::endl;
  return ExitCode::kUsage;
}

ExitCode Run(const std::vector<std::string>& args, Terminal& terminal) {
  CommandLine line(terminal);
  AddApplyCommand(line);
  AddScaleCommand(line);
  AddListCommands(line);
  AddLogsCommand(line);
  AddLifecycleCommands(line);
  AddEventsCommand(line);
  AddNodeCommands(line);
  AddSpecCommand(line);
  AddVersionCommand(line);
  AddCompletionCommands(line);
  try {
    std::vector<std::string> reversed(args.rbegin(), args.rend());  // CLI11 pops from the back
    line.root().parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    terminal.out << line.root().help() << std::flush;
    return ExitCode::kOk;
  } catch (const CLI::CallForVersion& version) {
    terminal.out << version.what() << std::endl;
    return ExitCode::kOk;
  } catch (const CLI::RequiredError& error) {
    if (args.empty()) {
      terminal.err << line.root().help() << std::flush;
      return ExitCode::kUsage;
    }
    return UsageError(terminal, error.what());
  } catch (const CLI::ParseError& error) {
    return UsageError(terminal, error.what());
  }
  const auto options = line.ParsedOptions(terminal);
  if (!options.ok()) return UsageError(terminal, std::string(options.status().message()));
  Context context(terminal, *options, line.root());
  return line.chosen()(context);
}

}  // namespace

int RunCtl(const std::vector<std::string>& args, Terminal& terminal) {
  return static_cast<int>(Run(args, terminal));
}

}  // namespace pando::ctl
