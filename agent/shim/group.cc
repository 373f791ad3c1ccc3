#include "agent/shim/group.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

namespace pando::shim {
namespace {

constexpr int kBatch = 64;

int OpenIn(const char* dir, const char* file, int flags) {
  char path[4096];
  snprintf(path, sizeof(path), "%s/%s", dir, file);
  return open(path, flags | O_CLOEXEC);
}

bool WriteTo(const char* dir, const char* file, const char* text) {
  const int fd = OpenIn(dir, file, O_WRONLY);
  if (fd < 0) return false;
  const bool ok = write(fd, text, strlen(text)) > 0;
  const int error = errno;
  close(fd);
  errno = error;
  return ok;
}

// Calls `visit` with each pid of the group until it returns false.
template <class Visit>
void ForEachPid(const char* dir, Visit visit) {
  const int fd = OpenIn(dir, "cgroup.procs", O_RDONLY);
  if (fd < 0) return;
  char chunk[4096];
  pid_t pid = 0;
  ssize_t size = 0;
  bool more = true;
  while (more && (size = read(fd, chunk, sizeof(chunk))) > 0) {
    for (ssize_t i = 0; i < size && more; ++i) {
      if (chunk[i] >= '0' && chunk[i] <= '9') {
        pid = pid * 10 + (chunk[i] - '0');
      } else {
        if (pid > 0) more = visit(pid);
        pid = 0;
      }
    }
  }
  close(fd);
}

struct Target {
  pid_t pid = 0;
  int pidfd = -1;
  bool in_group = false;
};

// Descriptors first, then the list once more: who is in it still, or again, under this pid is
// either the process of the descriptor, or that one has ended and the signal reaches nobody.
int KillOneByOne(const char* dir) {
  Target targets[kBatch];
  int count = 0;
  ForEachPid(dir, [&](pid_t pid) {
    const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
    if (pidfd >= 0) {
      fcntl(pidfd, F_SETFD, FD_CLOEXEC);
      targets[count++] = {pid, pidfd, false};
    }
    return count < kBatch;
  });
  ForEachPid(dir, [&](pid_t pid) {
    for (int i = 0; i < count; ++i) targets[i].in_group |= targets[i].pid == pid;
    return true;
  });
  int killed = 0;
  for (int i = 0; i < count; ++i) {
    if (targets[i].in_group &&
        syscall(SYS_pidfd_send_signal, targets[i].pidfd, SIGKILL, nullptr, 0) == 0) {
      ++killed;
    }
    close(targets[i].pidfd);
  }
  return killed;
}

}  // namespace

pid_t ForkInto(const char* dir) {
  const int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -1;
  clone_args args = {};
  args.flags = CLONE_INTO_CGROUP;
  args.exit_signal = SIGCHLD;
  args.cgroup = static_cast<uint64_t>(fd);
  const auto pid = static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof(args)));
  if (pid != 0) close(fd);
  return pid;
}

bool EnterGroup(const char* dir) {
  // To move a whole process the kernel waits until no processor is forking or exiting one: up to
  // 10 ms. Version 1 can move one thread, and a thread its own self without that.
  return WriteTo(dir, "tasks", "0") || (errno == ENOENT && WriteTo(dir, "cgroup.procs", "0"));
}

int KillGroup(const char* dir) {
  int count = 0;
  ForEachPid(dir, [&count](pid_t) {
    ++count;
    return true;
  });
  if (count == 0) return 0;
  if (WriteTo(dir, "cgroup.kill", "1")) return count;  // version 2, since Linux 5.14
  WriteTo(dir, "pids.max", "0");                       // or a fork bomb would be faster than this
  for (int left = count; left > 0; left -= kBatch) {
    if (KillOneByOne(dir) == 0) break;
  }
  return count;
}

unsigned long long ReadOomKills(const char* dir) {
  int fd = OpenIn(dir, "memory.events", O_RDONLY);
  if (fd < 0) fd = OpenIn(dir, "memory.oom_control", O_RDONLY);
  if (fd < 0) return 0;
  char text[512];
  const ssize_t size = read(fd, text, sizeof(text) - 1);
  close(fd);
  if (size <= 0) return 0;
  text[size] = '\0';
  const char* const found = strstr(text, "\noom_kill ");
  return found != nullptr ? strtoull(found + strlen("\noom_kill "), nullptr, 10) : 0;
}

}  // namespace pando::shim
