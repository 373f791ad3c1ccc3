#include "agent/shim/isolation.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/shim/protocol.h"

namespace pando::shim {
namespace {

// Of the mount at `path` and all below it.
bool SetReadOnly(const char* path, bool read_only) {
  mount_attr attributes = {};
  (read_only ? attributes.attr_set : attributes.attr_clr) = MOUNT_ATTR_RDONLY;
  return mount_setattr(AT_FDCWD, path, AT_RECURSIVE, &attributes, sizeof(attributes)) == 0;
}

bool Exists(const char* path) {
  struct stat info = {};
  return stat(path, &info) == 0;
}

bool MakeReadOnly(const char* path) {
  // The root is a mount already, and binding it over itself would change nothing.
  if (strcmp(path, "/") != 0 && mount(path, path, nullptr, MS_BIND | MS_REC, nullptr) != 0) {
    return false;
  }
  return SetReadOnly(path, true);
}

bool BindTmp(const char* from, const char* over) {
  if (!Exists(over)) return true;
  // What lies in a read-only path is bound as that: this is for writing.
  return mount(from, over, nullptr, MS_BIND, nullptr) == 0 && SetReadOnly(over, false);
}

bool IsolateMounts(const Isolation& isolation, char* why, size_t size) {
  if (!isolation.private_tmp && isolation.read_only_count == 0) return true;
  // Mounts of the host are seen when they come; ours are seen by nobody else.
  if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) {
    snprintf(why, size, "cannot have mounts of its own: %s", strerror(errno));
    return false;
  }
  for (int i = 0; i < isolation.read_only_count; ++i) {
    const char* const path = isolation.read_only[i];
    if (!MakeReadOnly(path)) {
      snprintf(why, size, "isolation.read_only: cannot make %s read-only: %s", path,
               strerror(errno));
      return false;
    }
  }
  // Last: where we are may be in /tmp, and is found by its name no more then.
  if (isolation.private_tmp && (!BindTmp(kVarTmpDir, "/var/tmp") || !BindTmp(kTmpDir, "/tmp"))) {
    snprintf(why, size, "isolation.private_tmp: cannot have a /tmp of its own: %s",
             strerror(errno));
    return false;
  }
  return true;
}

}  // namespace

bool Isolation::ReadUser(const char* text) {
  char* end = nullptr;
  uid = static_cast<uid_t>(strtoul(text, &end, 10));
  if (end == text || *end != ':') return false;
  text = end + 1;
  gid = static_cast<gid_t>(strtoul(text, &end, 10));
  if (end == text || *end != ':') return false;
  changes_user = true;
  while (*end != '\0' && group_count < kMaxGroups) {
    text = end + 1;
    if (*text == '\0') break;
    groups[group_count++] = static_cast<gid_t>(strtoul(text, &end, 10));
    if (end == text) return false;
  }
  return true;
}

bool Isolate(const Isolation& isolation, char* why, size_t size) {
  if (!IsolateMounts(isolation, why, size)) return false;
  if (!isolation.allow_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    snprintf(why, size, "cannot give up new privileges: %s", strerror(errno));
    return false;
  }
  return true;
}

bool BecomeUser(const Isolation& isolation, char* why, size_t size) {
  if (!isolation.changes_user) return true;
  if (setgroups(static_cast<size_t>(isolation.group_count), isolation.groups) == 0 &&
      setgid(isolation.gid) == 0 && setuid(isolation.uid) == 0) {
    return true;
  }
  snprintf(why, size, "isolation: cannot run as user %u, group %u: %s", isolation.uid,
           isolation.gid, strerror(errno));
  return false;
}

}  // namespace pando::shim
