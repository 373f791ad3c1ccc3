// Protocol messages hold valid UTF-8 only; what apps and file names hold is up to them.
#pragma once

#include <string>

namespace pando::agent {

// Bytes that are no UTF-8 are replaced by U+FFFD.
std::string ToValidUtf8(std::string text);

}  // namespace pando::agent
