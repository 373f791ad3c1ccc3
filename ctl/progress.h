// Tells people, on stderr, how a wait goes on: one line redrawn in place on a terminal; elsewhere a
// new line per piece of news, at most one a second. Used by one thread.
#pragma once

#include <optional>
#include <string>

#include "common/base/time.h"
#include "ctl/terminal.h"

namespace pando::ctl {

class Progress {
 public:
  Progress(Terminal& terminal, bool quiet) : terminal_(terminal), quiet_(quiet) {}
  ~Progress() { Clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `line` is what to show now; `news` the part of it that is news when it changes.
  void Show(const std::string& line, const std::string& news, Instant now);
  // A line of its own that stays.
  void Say(const std::string& line);
  // Takes the live line off the terminal, before something else is printed.
  void Clear();

 private:
  Terminal& terminal_;
  bool quiet_;
  bool drawn_ = false;
  std::string last_news_;
  std::optional<Instant> last_shown_;
};

}  // namespace pando::ctl
