// Reserves a port for an instance over the whole host, without occupying it.
#pragma once

#include <cstdint>
#include <optional>

#include "common/runtime/unique_fd.h"

namespace pando::agent {

// Holds the port for as long as the descriptor, or a copy of it in the instance's shim, is open:
// no agent of this host (network namespace) gives it to another instance meanwhile. Nothing when
// it is reserved, or when anybody uses it.
std::optional<UniqueFd> ReservePort(uint16_t port);

}  // namespace pando::agent
