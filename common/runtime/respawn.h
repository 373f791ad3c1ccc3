// Starting a program anew beside this one, for an upgrade in place, and telling the service
// manager.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/runtime/event_loop.h"

namespace pando {

// Starts `command` (program and arguments; the program is looked up in PATH if it has no slash)
// with this process's environment and output, all signals at their defaults.
absl::StatusOr<pid_t> StartProgram(const std::vector<std::string>& command);

// Calls `on_exit` on the loop with the wait status once our child has ended.
void OnChildExit(EventLoop& loop, pid_t child, std::function<void(int status)> on_exit);

// "READY=1", for example, in sd_notify's format; nothing happens when no service manager asked.
void NotifyServiceManager(const std::string& state);

}  // namespace pando
