#include "agent/shim/app_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/shim/group.h"

extern char** environ;

namespace pando::shim {
namespace {

// Runs in the child: says why it could not become the app, and ends it.
[[noreturn]] void Fail(int report_fd, const char* format, const char* what, const char* why) {
  char text[480];
  const int length = snprintf(text, sizeof(text), format, what, why);
  const size_t size = length < 0 ? 0 : static_cast<size_t>(length);
  ssize_t ignored = write(report_fd, text, size < sizeof(text) ? size : sizeof(text) - 1);
  (void)ignored;
  _exit(127);
}

[[noreturn]] void FailExec(int report_fd, const char* path, int error) {
  struct stat info = {};
  if (error == ENOENT && stat(path, &info) == 0) {
    Fail(report_fd, "cannot run %s: its interpreter does not exist%s", path, "");
  }
  if (error == ENOENT || error == ENOTDIR) Fail(report_fd, "no such file: %s%s", path, "");
  if (error == EACCES) Fail(report_fd, "not executable: %s%s", path, "");
  if (error == ENOEXEC) {
    Fail(report_fd, "cannot run %s: not a program (a script needs a #! line)%s", path, "");
  }
  Fail(report_fd, "cannot run %s: %s", path, strerror(error));
}

[[noreturn]] void ExecFromPath(int report_fd, char** argv) {
  const char* list = getenv("PATH");
  if (list == nullptr || *list == '\0') list = "/usr/local/bin:/usr/bin:/bin";
  char found[4096] = "";
  int found_error = 0;
  for (const char* entry = list; entry != nullptr;) {
    const char* const colon = strchr(entry, ':');
    const int length = colon != nullptr ? static_cast<int>(colon - entry)  //
                                        : static_cast<int>(strlen(entry));
    char path[4096];
    snprintf(path, sizeof(path), "%.*s/%s", length == 0 ? 1 : length, length == 0 ? "." : entry,
             argv[0]);
    execve(path, argv, environ);
    // Goes on as a shell does, but remembers what was there and could not be run.
    if (found_error == 0 && errno != ENOENT && errno != ENOTDIR) {
      found_error = errno;
      memcpy(found, path, sizeof(found));
    }
    entry = colon != nullptr ? colon + 1 : nullptr;
  }
  if (found_error != 0) FailExec(report_fd, found, found_error);
  Fail(report_fd, "command not found: %s (PATH is %s)", argv[0], list);
}

void SetLimit(int report_fd, decltype(RLIMIT_NOFILE) resource, long value, const char* what) {
  if (value <= 0) return;
  const rlimit limit = {static_cast<rlim_t>(value), static_cast<rlim_t>(value)};
  if (setrlimit(resource, &limit) != 0) {
    Fail(report_fd, "cannot limit its %s: %s", what, strerror(errno));
  }
}

void Confine(int report_fd, const Confinement& confinement, bool is_in_group) {
  // Groups first: what follows counts as the app's own.
  for (int i = 0; !is_in_group && i < confinement.group_count; ++i) {
    if (!EnterGroup(confinement.groups[i])) {
      Fail(report_fd, "cannot enter the control group %s: %s", confinement.groups[i],
           strerror(errno));
    }
  }
  SetLimit(report_fd, RLIMIT_NOFILE, confinement.open_files,
           "open files (resources.max_open_files)");
  SetLimit(report_fd, RLIMIT_NPROC, confinement.processes, "processes (resources.max_processes)");
}

// Has its bind() calls told at a descriptor that it sends to `binds_to`.
void LeadPort(int report_fd, const PortLead& lead, int binds_to) {
  const int binds = InterceptBinds();
  if (binds < 0) {
    if (lead.preloaded) return;
    Fail(report_fd, "port.fixed: cannot have its bind() told (seccomp)%s: %s",
         errno == EACCES ? ", with isolation.allow_new_privileges only as root" : "",
         strerror(errno));
  }
  // From here on each bind() waits for an answer.
  if (!SendDescriptor(binds_to, binds)) {
    Fail(report_fd, "port.fixed: cannot pass a descriptor on: %s%s", strerror(errno), "");
  }
}

// Runs in the process that is to be the program; `parent` is what it dies with. With `binds_to` its
// port is led.
[[noreturn]] void Become(const AppStart& start, bool is_in_group, pid_t parent, int report_fd,
                         int binds_to) {
  const char* const dir = start.dir;
  char** const argv = start.argv;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  Confine(report_fd, start.confinement, is_in_group);
  char why[256];
  if (!Isolate(start.isolation, why, sizeof(why))) Fail(report_fd, "%s%s", why, "");
  if (binds_to >= 0) LeadPort(report_fd, start.lead, binds_to);
  if (!BecomeUser(start.isolation, why, sizeof(why))) Fail(report_fd, "%s%s", why, "");
  // Once more: a change of the user takes it away.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  if (*dir != '\0' && chdir(dir) != 0) {
    if (errno == ENOENT) Fail(report_fd, "no such directory: %s%s", dir, "");
    Fail(report_fd, "cannot enter directory %s: %s", dir, strerror(errno));
  }
  if (strchr(argv[0], '/') == nullptr) ExecFromPath(report_fd, argv);
  execve(argv[0], argv, environ);
  const int error = errno;
  char path[4096];
  snprintf(path, sizeof(path), "%s%s%s", argv[0][0] == '/' ? "" : dir,
           argv[0][0] == '/' || *dir == '\0' ? "" : "/", argv[0]);
  FailExec(report_fd, path, error);
}

[[noreturn]] void BecomeApp(const AppStart& start, bool is_in_group, pid_t shim, int out, int err,
                            int report_fd, int binds_to) {
  setpgid(0, 0);
  for (int i = 1; i < NSIG; ++i) signal(i, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  dup2(null_fd, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  // A shim that is killed takes the app with it: nobody would watch it any more.
  Become(start, is_in_group, shim, report_fd, binds_to);
}

}  // namespace

void StartApp(const AppStart& start, AppProcess& app) {
  int out[2] = {-1, -1};
  int err[2] = {-1, -1};
  int report[2] = {-1, -1};
  int binds[2] = {-1, -1};
  if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0 || pipe2(report, O_CLOEXEC) != 0) {
    snprintf(app.error, sizeof(app.error), "cannot make a pipe: %s", strerror(errno));
    return;  // the shim ends after this: descriptors need no closing
  }
  if (start.lead.fixed != 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, binds) != 0) {
    snprintf(app.error, sizeof(app.error), "cannot make a socket: %s", strerror(errno));
    return;
  }
  const pid_t shim = getpid();
  const Confinement& confinement = start.confinement;
  pid_t pid = confinement.group_count == 1 ? ForkInto(confinement.groups[0]) : -1;
  const bool is_in_group = pid >= 0;
  if (!is_in_group) pid = fork();
  if (pid < 0) {
    snprintf(app.error, sizeof(app.error), "cannot start a process: %s", strerror(errno));
    return;
  }
  if (pid == 0) BecomeApp(start, is_in_group, shim, out[1], err[1], report[1], binds[1]);
  setpgid(pid, pid);  // whoever of both comes first
  close(out[1]);
  close(err[1]);
  close(report[1]);
  ssize_t size = 0;
  do {
    size = read(report[0], app.error, sizeof(app.error) - 1);  // ends when exec closes the pipe
  } while (size < 0 && errno == EINTR);
  close(report[0]);
  if (size > 0) {
    app.error[size] = '\0';
    waitpid(pid, nullptr, 0);
    return;
  }
  app.error[0] = '\0';
  fcntl(out[0], F_SETFL, O_NONBLOCK);
  fcntl(err[0], F_SETFL, O_NONBLOCK);
  app.pid = pid;
  app.stdout_fd = out[0];
  app.stderr_fd = err[0];
  if (start.lead.fixed != 0) {
    app.binds_fd = ReceiveDescriptor(binds[0]);
    close(binds[0]);
    close(binds[1]);
  }
}

void RunProbe(const AppStart& start) {
  Become(start, /*is_in_group=*/false, getppid(), STDERR_FILENO, /*binds_to=*/-1);
}

}  // namespace pando::shim
