#include "ctl/command.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/runtime/flags.h"
#include "common/runtime/version.h"
#include "ctl/format.h"
#include "ctl/identity.h"

namespace pando::ctl {

Context::Context(Terminal& terminal, Options options, const CLI::App& root)
    : terminal_(terminal), options_(std::move(options)), root_(root) {
  ClientOptions client;
  client.controller = options_.controller;
  client.call_timeout = std::min(client.call_timeout, options_.timeout);
  client.connect_timeout = std::min(client.connect_timeout, options_.timeout);
  client.by = WhoAsks(terminal);
  client_ = std::make_unique<Client>(client);
}

ExitCode Context::Fail(const absl::Status& status) {
  return Fail(ExitCodeOf(status), std::string(status.message()));
}

ExitCode Context::Fail(ExitCode code, const std::string& message) {
  terminal_.err << "ctl: " << message << std::endl;
  return code;
}

ExitCode Context::UsageError(const std::string& message) {
  return Fail(ExitCode::kUsage, absl::StrCat(message, " (", HelpHint(root_), ")"));
}

CommandLine::CommandLine(const Terminal& terminal)
    : root_("Runs one app as many instances over many hosts behind one address.", "ctl") {
  controller_ = terminal.Env("PANDO_CONTROLLER");
  if (controller_.empty()) controller_ = "127.0.0.1:7400";
  root_.require_subcommand(1);
  root_.set_version_flag("--version", absl::StrCat("ctl ", std::string(Version())),
                         "Print the version of ctl");
  root_.set_help_flag("-h,--help", "Print this help");
  root_.add_option("--controller", controller_, "Where the controller is (env PANDO_CONTROLLER)")
      ->type_name("HOST:PORT")
      ->capture_default_str();
  root_.add_option("-o,--output", output_, "How to print")
      ->check(CLI::IsMember({"table", "wide", "json", "yaml", "name"}))
      ->type_name("FORMAT")
      ->capture_default_str();
  root_.add_option("--timeout", timeout_, "How long to wait at most: 30s, 5m, 1h30m")
      ->type_name("DURATION")
      ->capture_default_str();
  root_.add_flag("--detach", detach_, "Do not wait until a change has arrived");
  root_.add_flag("--no-color", no_color_, "No colors (also with NO_COLOR in the environment)");
  root_.add_flag("-q,--quiet", quiet_, "No progress on stderr");
  root_.footer(
      absl::StrCat("Global options may stand before or after the command.\n\n", ExitCodeHelp()));
}

CLI::App& CommandLine::Add(const std::string& name, const std::string& description, Action action) {
  CLI::App* command = root_.add_subcommand(name, description);
  // Lets global options stand after the command.
  command->fallthrough();
  command->set_help_flag("-h,--help", "Print this help");
  command->footer("The options of every command and the exit codes: ctl --help");
  command->callback([this, action = std::move(action)] { chosen_ = action; });
  return *command;
}

absl::StatusOr<Options> CommandLine::ParsedOptions(const Terminal& terminal) const {
  Options options;
  PANDO_ASSIGN_OR_RETURN(const HostPort controller, ParseHostPort("--controller", controller_));
  options.controller = controller.ToString();
  auto timeout = ParseDuration(timeout_);
  if (!timeout.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--timeout: ", timeout.status().message()));
  }
  options.timeout = *timeout;
  if (output_ == "wide") options.format = OutputFormat::kWide;
  if (output_ == "json") options.format = OutputFormat::kJson;
  if (output_ == "yaml") options.format = OutputFormat::kYaml;
  if (output_ == "name") options.format = OutputFormat::kName;
  options.detach = detach_;
  options.color = terminal.out_is_terminal && !no_color_ && terminal.Env("NO_COLOR").empty();
  options.quiet = quiet_;
  return options;
}

std::string HelpHint(const CLI::App& root) {
  const std::vector<CLI::App*> parsed = root.get_subcommands();
  const bool named = !parsed.empty() && !parsed.front()->get_group().empty();
  return named ? absl::StrCat("see ctl ", parsed.front()->get_name(), " --help") : "see ctl --help";
}

CLI::Option* AddAppArgument(CLI::App& command, std::string& app) {
  return command.add_option("APP", app, "The app; may be left out when there is only one")
      ->type_name("");
}

CLI::Option* AddFileOption(CLI::App& command, std::vector<std::string>& files) {
  return command.add_option("-f,--file", files, "A spec file, - for standard input; repeatable")
      ->required()
      ->type_name("FILE")
      ->allow_extra_args(false);
}

}  // namespace pando::ctl
