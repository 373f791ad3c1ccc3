// A control group (version 1 or 2), seen through its directory. No heap: used by the shim and,
// after a shim was killed, by the agent.
#pragma once

namespace pando::shim {

// Puts this process into the group. False: errno says why.
bool EnterGroup(const char* dir);

// Sends SIGKILL to every process of the group; signals nobody who is not, or no longer, in it.
// Returns how many there were, 0 when the group is empty or does not exist.
int KillGroup(const char* dir);

// Processes of this group that the kernel killed for want of memory, since it was made. 0 also when
// this hierarchy does not count memory.
unsigned long long ReadOomKills(const char* dir);

}  // namespace pando::shim
