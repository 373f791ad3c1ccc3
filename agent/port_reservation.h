// Reserves a port for an instance over the whole host, without occupying it.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/runtime/unique_fd.h"

namespace pando::agent {

// Holds the port for as long as the descriptor, or a copy of it in the instance's shim, is open:
// no agent of this host (network namespace) gives it to another instance meanwhile.
// kUnavailable: it is reserved, or somebody uses it. Other errors are the host's: it is out of
// descriptors, and no other port would do better.
absl::StatusOr<UniqueFd> ReservePort(uint16_t port);

}  // namespace pando::agent
