// Has an app that hard-codes its port listen on another one, by a library preloaded into it (see
// agent/fixed_port).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/core/assignment.h"

namespace pando::agent {

// Where the library is: beside the shim, in the build as in an installation.
std::string FixedPortLibrary(const std::string& shim_path);

// Adds to an app's environment ("NAME=value") what leads its fixed port to `port`. False: the
// program is known to preload no library, so only what it starts may, and the shim has to lead it
// (see agent/shim/port_lead.h). The error says, for people, why neither can work. A program that
// does not exist is none: whoever starts it says so better.
absl::StatusOr<bool> PreloadFixedPort(const CommandLine& command, uint16_t port,
                                      const std::string& library,
                                      std::vector<std::string>& environment);

}  // namespace pando::agent
