// A control group (version 1 or 2), seen through its directory. No heap: used by the shim and,
// after a shim was killed, by the agent.
#pragma once

#include <sys/types.h>

namespace pando::shim {

// As fork(), with the child in the group of version 2 from its first instruction on: -1 where that
// cannot be, which includes all groups of version 1.
pid_t ForkInto(const char* dir);

// Puts this process, which has one thread, into the group. False: errno says why.
bool EnterGroup(const char* dir);

// Sends SIGKILL to every process of the group; signals nobody who is not, or no longer, in it.
// Returns how many there were, 0 when the group is empty or does not exist.
int KillGroup(const char* dir);

// Processes of this group that the kernel killed for want of memory, since it was made. 0 also when
// this hierarchy does not count memory.
unsigned long long ReadOomKills(const char* dir);

}  // namespace pando::shim
