#include "agent/shim/children.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pando::shim {
namespace {

struct Pass {
  int running = 0;
  int reaped = 0;

  void Visit(pid_t pid, int signal) {
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

}  // namespace

ChildCount ReapOthers(pid_t app, int signal) {
  while (true) {
    const int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return {};
    Pass pass;
    char chunk[4096];
    pid_t pid = 0;
    ssize_t size = 0;
    while ((size = read(fd, chunk, sizeof(chunk))) > 0) {
      for (ssize_t i = 0; i < size; ++i) {
        if (chunk[i] >= '0' && chunk[i] <= '9') {
          pid = pid * 10 + (chunk[i] - '0');
        } else {
          if (pid > 0 && pid != app) pass.Visit(pid, signal);
          pid = 0;
        }
      }
    }
    close(fd);
    // The list may skip entries when it changes while it is read: again until it stands still.
    if (pass.reaped == 0) return {true, pass.running};
    signal = 0;
  }
}

}  // namespace pando::shim
