// When restarts help nobody any more, and what to tell about it. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "controller/core/model.h"

namespace pando::controller {

// Exits in a row, none after the app had been healthy for long, from which on it is a loop.
inline constexpr uint32_t kCrashesInALoop = 3;

// It crashed as often, and is not ready now.
bool IsCrashLoop(const InstanceReport& report);
// "exited with code 1, 4 times in a row: Error: no such module | at main.js:3"; without crashes
// just what the agent says.
std::string DescribeCrash(const InstanceReport& report);

}  // namespace pando::controller
