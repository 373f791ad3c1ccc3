// Single keys while something is shown live: no Enter needed, nothing echoed. Puts the terminal
// back as it was when destroyed.
#pragma once

#include <termios.h>

#include <optional>

#include "common/base/time.h"

namespace pando::ctl {

class Keyboard {
 public:
  // `enabled` false: there is no keyboard, Wait only waits.
  explicit Keyboard(bool enabled);
  ~Keyboard();
  Keyboard(const Keyboard&) = delete;
  Keyboard& operator=(const Keyboard&) = delete;

  // The key pressed within the time, if any.
  std::optional<char> Wait(Millis time);

 private:
  bool enabled_;
  termios before_{};
};

}  // namespace pando::ctl
