#include "ctl/progress.h"

namespace pando::ctl {

void Progress::Show(const std::string& line, const std::string& news, Instant now) {
  if (quiet_) return;
  if (terminal_.err_is_terminal) {
    // Cut, or a line that wraps would leave its first part behind at every redraw.
    const auto width = static_cast<size_t>(terminal_.columns > 1 ? terminal_.columns - 1 : 79);
    terminal_.err << "\r\x1b[2K" << line.substr(0, width) << std::flush;
    drawn_ = true;
    return;
  }
  const bool too_soon = last_shown_ && now - *last_shown_ < Millis{1'000};
  if (news == last_news_ || too_soon) return;
  last_news_ = news;
  last_shown_ = now;
  terminal_.err << line << std::endl;
}

void Progress::Say(const std::string& line) {
  Clear();
  terminal_.err << line << std::endl;
}

void Progress::Clear() {
  if (!drawn_) return;
  terminal_.err << "\r\x1b[2K" << std::flush;
  drawn_ = false;
}

}  // namespace pando::ctl
