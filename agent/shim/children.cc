#include "agent/shim/children.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pando::shim {
namespace {

struct Pass {
  pid_t app = 0;
  int signal = 0;
  int running = 0;
  int reaped = 0;

  void Visit(pid_t pid) {
    if (pid <= 0 || pid == app) return;
    siginfo_t info = {};
    const int rc = waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG);
    if (rc != 0 || info.si_pid == pid) {
      ++reaped;
      return;
    }
    ++running;
    if (signal != 0) kill(pid, signal);
  }
};

// False where the kernel keeps no such list (CONFIG_PROC_CHILDREN).
bool VisitList(const char* path, Pass& pass) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char chunk[4096];
  pid_t pid = 0;
  ssize_t size = 0;
  while ((size = read(fd, chunk, sizeof(chunk))) > 0) {
    for (ssize_t i = 0; i < size; ++i) {
      if (chunk[i] >= '0' && chunk[i] <= '9') {
        pid = pid * 10 + (chunk[i] - '0');
      } else {
        pass.Visit(pid);
        pid = 0;
      }
    }
  }
  close(fd);
  return size == 0;
}

// Of /proc/PID/stat; 0: no such process.
pid_t ParentOf(const char* pid) {
  char text[1024];
  snprintf(text, sizeof(text), "/proc/%.20s/stat", pid);
  const int fd = open(text, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const ssize_t size = read(fd, text, sizeof(text) - 1);
  close(fd);
  if (size <= 0) return 0;
  text[size] = '\0';
  const char* const name_end = strrchr(text, ')');  // ") S 123 "
  return name_end != nullptr && strlen(name_end) > 4 ? atoi(name_end + 4) : 0;
}

// As the kernel's getdents64 fills it; readdir() would take memory from the heap.
struct DirEntry {
  uint64_t inode;
  int64_t offset;
  unsigned short size;
  unsigned char type;
  char name[1];
};

// The slow way, through all processes there are.
bool VisitAllProcesses(Pass& pass) {
  const int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  const pid_t self = getpid();
  alignas(DirEntry) char chunk[8192];
  long size = 0;
  while ((size = syscall(SYS_getdents64, fd, chunk, sizeof(chunk))) > 0) {
    for (long at = 0; at < size;) {
      const auto* const entry = reinterpret_cast<const DirEntry*>(chunk + at);
      at += entry->size;
      const bool is_process = entry->name[0] >= '1' && entry->name[0] <= '9';
      if (is_process && ParentOf(entry->name) == self) pass.Visit(atoi(entry->name));
    }
  }
  close(fd);
  return size == 0;
}

}  // namespace

ChildCount ReapOthers(pid_t app, int signal, const char* list) {
  while (true) {
    Pass pass{app, signal};
    if (!VisitList(list, pass)) {
      pass = {app, signal};
      if (!VisitAllProcesses(pass)) return {};
    }
    // The list may skip entries when it changes while it is read: again until it stands still.
    if (pass.reaped == 0) return {true, pass.running};
    signal = 0;
  }
}

}  // namespace pando::shim
