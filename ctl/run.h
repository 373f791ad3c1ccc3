// The whole of ctl but the process around it.
#pragma once

#include <string>
#include <vector>

#include "ctl/terminal.h"

namespace pando::ctl {

// `args` without the program's name. Returns the exit code.
int RunCtl(const std::vector<std::string>& args, Terminal& terminal);

}  // namespace pando::ctl
