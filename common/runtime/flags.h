// Flags of a daemon, also from the environment and a file: flag, then PANDO_<NAME>, then
// `--config FILE` (TOML, keys named like the long flags). A wrapper of CLI11 that gives every
// option its environment name and every error one line.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace pando {

// "host:port" split and checked; "[::1]:80" for IPv6. The error names the field.
struct HostPort {
  std::string host;
  uint16_t port = 0;
  std::string ToString() const;
};
absl::StatusOr<HostPort> ParseHostPort(std::string_view field, std::string_view text);

// Listening beyond loopback without authentication is refused unless `insecure`: the error says
// so. Hosts that are not numeric addresses or "localhost" count as beyond loopback.
absl::Status CheckListenAddress(std::string_view field, const HostPort& address, bool insecure);

class Flags {
 public:
  Flags(std::string program, std::string description);

  CLI::App& app() { return app_; }
  // Adds --name with the environment variable PANDO_NAME ("data-dir" -> PANDO_DATA_DIR).
  template <class T>
  CLI::Option* Add(const std::string& name, T& variable, const std::string& help) {
    return app_.add_option("--" + name, variable, help)
        ->envname(EnvName(name))
        ->capture_default_str();
  }
  CLI::Option* AddSwitch(const std::string& name, bool& variable, const std::string& help);

  // The flags every daemon has: --log-format, --log-level, --version, --config, --help.
  // Parses; on --help or --version prints and returns the code to exit with (0); on a bad flag
  // prints one line "pando-agent: --port-range: ... (see --help)" to stderr and returns 2.
  // nullopt: go on; the log is set up.
  std::optional<int> Parse(int argc, char** argv);

  static std::string EnvName(const std::string& name);

 private:
  std::string program_;
  std::string log_format_ = "auto";
  std::string log_level_ = "info";
  CLI::App app_;
};

}  // namespace pando
