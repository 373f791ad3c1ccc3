// What a command talks to: its three streams, what is known of them, and its environment. Tests
// pass string streams.
#pragma once

#include <iostream>
#include <map>
#include <string>

#include "absl/time/time.h"

namespace pando::ctl {

struct Terminal {
  std::istream& in;
  std::ostream& out;  // data
  std::ostream& err;  // progress, questions, errors
  bool in_is_terminal = false;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  int columns = 80;
  std::map<std::string, std::string> env{};
  absl::TimeZone zone = absl::UTCTimeZone();

  // Empty when the variable is not set.
  std::string Env(const std::string& name) const;
};

// The process's own.
Terminal ProcessTerminal();

}  // namespace pando::ctl
