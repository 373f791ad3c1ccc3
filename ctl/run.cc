#include "ctl/run.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/nearest.h"
#include "ctl/command.h"

namespace pando::ctl {

namespace {

ExitCode UsageError(Terminal& terminal, const CLI::App& root, std::string message) {
  message = absl::StrReplaceAll(message, {{"\n", " "}});
  terminal.err << "ctl: " << message << " (" << HelpHint(root) << ")" << std::endl;
  return ExitCode::kUsage;
}

// CLI11's "Could not convert: --tail = x"; the options it converts are numbers from 0.
std::string NotANumber(const CLI::ConversionError& error) {
  absl::string_view text = error.what();
  absl::ConsumePrefix(&text, "Could not convert: ");
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(text, absl::MaxSplits(" = ", 1));
  return absl::StrCat(parts.first, ": \"", parts.second, "\" is not a number (allowed: 0, 1, ...)");
}

// CLI11 speaks of a missing command even when there is one that it does not know.
std::string UnknownCommand(const CLI::App& root) {
  if (!root.get_subcommands().empty() || root.remaining_size() == 0) return "";
  const std::string word = root.remaining().front();
  if (word.empty() || word.front() == '-') return "";
  std::vector<std::string> known;
  for (const CLI::App* command : root.get_subcommands([](const CLI::App*) { return true; })) {
    known.push_back(command->get_name());
  }
  const std::string nearest = Nearest(word, known);
  return absl::StrCat("unknown command ", word,
                      nearest.empty() ? "" : absl::StrCat(", did you mean ", nearest, "?"));
}

ExitCode Run(const std::vector<std::string>& args, Terminal& terminal) {
  CommandLine line(terminal);
  AddApplyCommand(line);
  AddPlanCommand(line);
  AddPushCommand(line);
  AddScaleCommand(line);
  AddRolloutCommand(line);
  AddListCommands(line);
  AddTopCommand(line);
  AddLogsCommand(line);
  AddLifecycleCommands(line);
  AddEventsCommand(line);
  AddNodeCommands(line);
  AddBenchCommand(line);
  AddDrainCommand(line);
  AddRebalanceCommand(line);
  AddWhyCommand(line);
  AddSpecCommand(line);
  AddImportCommand(line);
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
    const std::string unknown = UnknownCommand(line.root());
    return UsageError(terminal, line.root(), unknown.empty() ? error.what() : unknown);
  } catch (const CLI::ConversionError& error) {
    return UsageError(terminal, line.root(), NotANumber(error));
  } catch (const CLI::ParseError& error) {
    return UsageError(terminal, line.root(), error.what());
  }
  const auto options = line.ParsedOptions(terminal);
  if (!options.ok()) {
    return UsageError(terminal, line.root(), std::string(options.status().message()));
  }
  Context context(terminal, *options, line.root());
  return line.chosen()(context);
}

}  // namespace

int RunCtl(const std::vector<std::string>& args, Terminal& terminal) {
  return static_cast<int>(Run(args, terminal));
}

}  // namespace pando::ctl
