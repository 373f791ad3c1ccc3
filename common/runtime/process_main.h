// What the daemons' mains share: clean shutdown on SIGTERM and SIGINT, and one-line fatal errors.
#pragma once

#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "common/runtime/event_loop.h"

namespace pando {

// Runs `on_shutdown` on the loop at the first SIGTERM or SIGINT; a second one ends the process at
// once (exit code 130). SIGPIPE is ignored. Call once, before loop.Run().
void OnShutdownSignal(EventLoop& loop, absl::AnyInvocable<void()> on_shutdown);

// Runs `task` on the loop at each `signal`, SIGHUP for example.
void OnSignal(EventLoop& loop, int signal, absl::AnyInvocable<void()> task);

// Prints "pando-agent: <message>" to stderr and returns 1.
int FatalError(const std::string& program, const absl::Status& status);

// Raises the soft limit of open files to the hard one.
void RaiseFileLimit();

}  // namespace pando
