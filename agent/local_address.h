// The address under which other hosts reach this one.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "common/runtime/event_loop.h"
#include "common/runtime/flags.h"

namespace pando::agent {

// This host's own address on the way to `peer`; loopback for a loopback peer. Nothing is sent.
// Names are resolved without blocking the loop. kUnavailable: unknown name, no route; try again.
void FindLocalAddress(EventLoop& loop, const HostPort& peer,
                      std::function<void(absl::StatusOr<std::string>)> done);

}  // namespace pando::agent
