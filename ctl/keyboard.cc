#include "ctl/keyboard.h"

#include <poll.h>
#include <unistd.h>

namespace pando::ctl {

Keyboard::Keyboard(bool enabled) : enabled_(enabled && tcgetattr(STDIN_FILENO, &before_) == 0) {
  if (!enabled_) return;
  termios raw = before_;
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  enabled_ = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

Keyboard::~Keyboard() {
  if (enabled_) tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

std::optional<char> Keyboard::Wait(Millis time) {
  pollfd input{STDIN_FILENO, POLLIN, 0};
  const int ready = poll(&input, enabled_ ? 1 : 0, static_cast<int>(time.count()));
  char key = 0;
  if (ready <= 0) return std::nullopt;
  if (read(STDIN_FILENO, &key, 1) == 1) return key;
  enabled_ = false;  // closed: there will be no key any more
  return std::nullopt;
}

}  // namespace pando::ctl
