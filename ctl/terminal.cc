#include "ctl/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <string_view>

namespace pando::ctl {

std::string Terminal::Env(const std::string& name) const {
  const auto found = env.find(name);
  return found == env.end() ? "" : found->second;
}

Terminal ProcessTerminal() {
  Terminal terminal{std::cin, std::cout, std::cerr};
  terminal.in_is_terminal = isatty(STDIN_FILENO) == 1;
  terminal.out_is_terminal = isatty(STDOUT_FILENO) == 1;
  terminal.err_is_terminal = isatty(STDERR_FILENO) == 1;
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    terminal.columns = size.ws_col;
  }
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view pair = *entry;
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    terminal.env.emplace(pair.substr(0, equals), pair.substr(equals + 1));
  }
  terminal.zone = absl::LocalTimeZone();
  return terminal;
}

}  // namespace pando::ctl
