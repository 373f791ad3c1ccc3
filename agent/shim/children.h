// The shim's children. It is a subreaper, so whatever the app leaves behind becomes its child; and
// a child that was not waited for keeps its pid, so none of these calls can hit a stranger.
#pragma once

#include <sys/types.h>

namespace pando::shim {

struct ChildCount {
  bool known = false;  // false where there is no /proc
  int count = 0;
};

inline constexpr char kChildrenFile[] = "/proc/thread-self/children";

// Reaps the children that ended, all but `app` (its pid keeps the process group's number taken),
// and counts those that are left without `app`. Sends them `signal` unless it is 0. `list` is where
// the kernel lists them; where it cannot be read all processes are looked through.
ChildCount ReapOthers(pid_t app, int signal, const char* list = kChildrenFile);

}  // namespace pando::shim
