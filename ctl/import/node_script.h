// What a file of JavaScript exports, as JSON. Runs the program `node`, which runs the file.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace pando::ctl {

// kNotFound: there is no `node` (a name looked up in PATH, or a path). kInvalidArgument: the file
// failed, or exports nothing; what it printed has gone to stderr.
absl::StatusOr<std::string> ExportsOf(const std::string& file, const std::string& node = "node");

}  // namespace pando::ctl
