// When a process was started: with its pid and the boot id this names it for good.
#pragma once

#include <sys/types.h>

namespace pando::shim {

// Field 22 of /proc/<pid>/stat (clock ticks since boot). 0: no such process.
unsigned long long ReadStartTime(pid_t pid);

}  // namespace pando::shim
