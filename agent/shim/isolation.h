// What a process may see and be: its own mounts, its user, its privileges. Applied in the child
// between fork and exec; no heap.
#pragma once

#include <sys/types.h>

#include <cstddef>

namespace pando::shim {

struct Isolation {
  static constexpr int kMaxGroups = 256;
  static constexpr int kMaxReadOnly = 16;

  bool changes_user = false;
  uid_t uid = 0;
  gid_t gid = 0;
  gid_t groups[kMaxGroups] = {};
  int group_count = 0;
  bool allow_new_privileges = false;
  // /tmp and /var/tmp are the directories kTmpDir and kVarTmpDir (see protocol.h) of where we are.
  bool private_tmp = false;
  const char* read_only[kMaxReadOnly] = {};
  int read_only_count = 0;

  // From "UID:GID:GROUP,GROUP,..."; false when it is none.
  bool ReadUser(const char* text);
};

// Its mounts and its privileges, then its user: between the two it still has the rights of who
// started it. False: `why` says what could not be done.
bool Isolate(const Isolation& isolation, char* why, size_t size);
bool BecomeUser(const Isolation& isolation, char* why, size_t size);

}  // namespace pando::shim
