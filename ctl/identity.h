// Who asks, for the cluster's timeline.
#pragma once

#include <string>

#include "ctl/terminal.h"

namespace pando::ctl {

// PANDO_BY, or else "ana@laptop": the user and the host. At most 128 bytes, printable.
std::string WhoAsks(const Terminal& terminal);

}  // namespace pando::ctl
