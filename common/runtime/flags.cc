#include "common/runtime/flags.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/runtime/log.h"
#include "common/runtime/version.h"

namespace pando {
namespace {

constexpr int kUsageExit = 2;

// CLI11 lets the file win over the environment; here it is the other way round, so what the
// environment sets is dropped from the file.
class ConfigBelowEnvironment final : public CLI::ConfigTOML {
 public:
  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    std::vector<CLI::ConfigItem> settings = CLI::ConfigTOML::from_config(input);
    std::erase_if(settings, [](const CLI::ConfigItem& item) {
      return item.parents.empty() && std::getenv(Flags::EnvName(item.name).c_str()) != nullptr;
    });
    return settings;
  }
};

std::string OneLine(const std::string& text) {
  std::vector<std::string> lines = absl::StrSplit(text, '\n', absl::SkipWhitespace());
  for (std::string& line : lines) absl::StripAsciiWhitespace(&line);
  return absl::StrJoin(lines, "; ");
}

absl::Status NotHostPort(std::string_view field, std::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat(std::string(field), ": \"", std::string(text),
                                                 "\" is not HOST:PORT, like 127.0.0.1:7400"));
}

bool IsLoopback(const std::string& host) {
  if (host == "localhost") return true;
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(host, error);
  if (error) return false;
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, address.to_v6())
        .is_loopback();
  }
  return address.is_loopback();
}

}  // namespace

std::string HostPort::ToString() const {
  const bool ipv6 = host.find(':') != std::string::npos;
  return ipv6 ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

absl::StatusOr<HostPort> ParseHostPort(std::string_view field, std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return NotHostPort(field, text);
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const bool has_colon = host.find(':') != std::string_view::npos;
  const bool stray_bracket = host.find_first_of("[]") != std::string_view::npos;
  if (host.empty() || stray_bracket || has_colon != bracketed) return NotHostPort(field, text);

  const std::string digits(text.substr(colon + 1));
  uint32_t port = 0;
  const bool is_number = !digits.empty() && std::ranges::all_of(digits, absl::ascii_isdigit) &&
                         absl::SimpleAtoi(digits, &port);
  if (!is_number || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat(std::string(field), ": port \"", digits, "\" is not in 0-65535"));
  }
  return HostPort{std::string(host), static_cast<uint16_t>(port)};
}

absl::Status CheckListenAddress(std::string_view field, const HostPort& address, bool insecure) {
  if (insecure || IsLoopback(address.host)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      std::string(field), ": ", address.ToString(),
      " can be reached from other machines, and nobody is asked to authenticate; use a loopback "
      "address, or say --insecure if the network is trusted"));
}

Flags::Flags(std::string program, std::string description)
    : program_(std::move(program)), app_(std::move(description), program_) {
  app_.config_formatter(std::make_shared<ConfigBelowEnvironment>());
  app_.set_config("--config", "", "Read flags from this TOML file; keys are the long names")
      ->envname(EnvName("config"));
  app_.allow_config_extras(CLI::config_extras_mode::error);
  app_.set_version_flag("--version", absl::StrCat(program_, " ", std::string(Version())));
  app_.set_help_flag("--help,-h", "Print this help and exit");
  app_.get_option("--version")->description("Print the version and exit");
  Add("log-format", log_format_, "auto (text on a terminal), text or json");
  Add("log-level", log_level_, "debug, info, warn or error");
  app_.footer(
      "Every flag can also be set in the environment or in the file; a flag wins over the "
      "environment, which wins over the file.");
}

CLI::Option* Flags::AddSwitch(const std::string& name, bool& variable, const std::string& help) {
  return app_.add_flag("--" + name, variable, help)->envname(EnvName(name));
}

std::optional<int> Flags::Parse(int argc, char** argv) {
  std::vector<std::string> args(argv + 1, argv + argc);
  // CLI11 reads the file before the environment, so PANDO_CONFIG has to come as a flag.
  const char* config = std::getenv(EnvName("config").c_str());
  const bool config_given = std::ranges::any_of(args, [](const std::string& arg) {
    return arg == "--config" || arg.rfind("--config=", 0) == 0;
  });
  if (config != nullptr && *config != '\0' && !config_given) {
    args.insert(args.begin(), absl::StrCat("--config=", config));
  }
  std::ranges::reverse(args);  // as CLI11 wants them
  try {
    app_.parse(std::move(args));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app_.exit(error);
    std::fprintf(stderr, "%s: %s (see --help)\n", program_.c_str(), OneLine(error.what()).c_str());
    return kUsageExit;
  }
  if (const absl::Status status = InitLog(log_format_, log_level_); !status.ok()) {
    const std::string message(status.message());
    std::fprintf(stderr, "%s: %s (see --help)\n", program_.c_str(), message.c_str());
    return kUsageExit;
  }
  return std::nullopt;
}

std::string Flags::EnvName(const std::string& name) {
  return absl::StrCat("PANDO_", absl::AsciiStrToUpper(absl::StrReplaceAll(name, {{"-", "_"}})));
}

}  // namespace pando
