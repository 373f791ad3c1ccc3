// Has an app that hard-codes its port listen on another one, by a library preloaded into it (see
// agent/fixed_port).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "agent/core/assignment.h"

namespace pando::agent {

// Where the library is: beside the shim, in the build as in an installation.
std::string FixedPortLibrary(const std::string& shim_path);

// Adds to an app's environment ("NAME=value") what leads its fixed port to `port`. The error says,
// for people, why that cannot work: the library is missing, or the program does not preload any.
// A program that does not exist is none: whoever starts it says so better.
absl::Status PreloadFixedPort(const CommandLine& command, uint16_t port, const std::string& library,
                              std::vector<std::string>& environment);

}  // namespace pando::agent
