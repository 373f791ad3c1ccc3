#include "agent/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/shim/children.h"
#include "agent/shim/group.h"
#include "agent/shim/protocol.h"
#include "agent/shim/start_time.h"

namespace pando::shim {
namespace {

constexpr int64_t kUnkillableMs = 5'000;  // processes in uninterruptible sleep are not waited for
constexpr int kCleanUpPollMs = 5;
constexpr int kLastReads = 1'000;  // of up to 16 KiB; a full pipe holds 64 KiB

int64_t ClockMs(clockid_t clock) {
  timespec now = {};
  clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1'000 + now.tv_nsec / 1'000'000;
}

int64_t MonotonicMs() { return ClockMs(CLOCK_MONOTONIC); }
int64_t UnixMs() { return ClockMs(CLOCK_REALTIME); }

long long MillisOf(const timeval& time) {
  return static_cast<long long>(time.tv_sec) * 1'000 + time.tv_usec / 1'000;
}

// Replaces `path` as a whole; `durable` also survives a power cut.
bool WriteFile(const char* path, const char* text, size_t size, bool durable) {
  char temporary[64];
  snprintf(temporary, sizeof(temporary), "%s.tmp", path);
  const int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  bool ok = write(fd, text, size) == static_cast<ssize_t>(size);
  if (ok && durable) ok = fsync(fd) == 0;
  close(fd);
  if (!ok || rename(temporary, path) != 0) return false;
  if (durable) {
    const int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir >= 0) {
      fsync(dir);
      close(dir);
    }
  }
  return true;
}

void ReadBootId(char out[40]) {
  out[0] = '\0';
  const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  const ssize_t size = read(fd, out, 36);
  out[size > 0 ? size : 0] = '\0';
  close(fd);
}

}  // namespace

Shim::Shim(const Launch& launch, int session_fd)
    : launch_(launch), log_(kLogFile, kLogFileBytes, kLogFiles) {
  clients_[0].fd = session_fd;
  fcntl(session_fd, F_SETFL, O_NONBLOCK);
}

int Shim::Run() {
  if (!Prepare()) return 1;
  StartApp(launch_.app, app_);
  if (app_.pid < 0) {
    Fail(app_.error);
    return 1;
  }
  started_unix_ms_ = UnixMs();
  state_ = State::kRunning;
  const PortLead& lead = launch_.app.lead;
  if (lead.fixed != 0 && !lead.preloaded && !MayLookInto(app_.pid)) {
    return FailStarted("port.fixed: cannot see the app's bind() (ptrace)");
  }
  // Without its record a later agent could not know the app: better none than one nobody knows.
  if (!WriteRunRecord()) return FailStarted("cannot write the instance's run record");
  TellAll();
  log_.MarkStart(kStartsFile, launch_.incarnation);
  Loop();
  CloseLog();
  waitpid(app_.pid, nullptr, 0);  // last: until here its pid and group were nobody else's
  return 0;
}

bool Shim::Prepare() {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);  // nothing but SIGKILL ends a shim before its app
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  signal_fd_ = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  listen_fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, kSocketFile, sizeof(kSocketFile));
  unlink(kSocketFile);
  if (signal_fd_ < 0 || listen_fd_ < 0 ||
      bind(listen_fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(listen_fd_, kMaxClients) != 0) {
    char why[128];
    snprintf(why, sizeof(why), "cannot listen on the instance's socket: %s", strerror(errno));
    return Fail(why);
  }
  if (const int error = log_.Open(); error != 0) {
    char why[128];
    snprintf(why, sizeof(why), "cannot open the instance's log: %s", strerror(error));
    return Fail(why);
  }
  return true;
}

bool Shim::Fail(const char* why) {
  snprintf(state_line_, sizeof(state_line_), "failed %u %.500s\n", launch_.incarnation, why);
  for (int i = 0; i < kMaxClients; ++i) Tell(i);
  char record[640];
  const int size =
      snprintf(record, sizeof(record), "incarnation=%u\ncode=127\nsignal=0\nerror=%s\n",
               launch_.incarnation, why);
  WriteFile(kExitFile, record, static_cast<size_t>(size), true);
  return false;
}

int Shim::FailStarted(const char* what) {
  char why[128];
  snprintf(why, sizeof(why), "%s: %s", what, strerror(errno));
  KillAll();
  Fail(why);
  return 1;
}

bool Shim::WriteRunRecord() {
  char boot_id[40];
  ReadBootId(boot_id);
  char record[512];
  const int size = snprintf(record, sizeof(record),
                            "boot_id=%s\nshim_pid=%d\nshim_start=%llu\napp_pid=%d\napp_start=%llu\n"
                            "port=%u\nincarnation=%u\nstarted_unix_ms=%lld\n",
                            boot_id, static_cast<int>(getpid()), ReadStartTime(getpid()),
                            static_cast<int>(app_.pid), ReadStartTime(app_.pid), launch_.port,
                            launch_.incarnation, static_cast<long long>(started_unix_ms_));
  // Not synced: after a power cut the process it names is gone anyhow.
  return WriteFile(kRunFile, record, static_cast<size_t>(size), false);
}

void Shim::WriteExitRecord() {
  char record[256];
  const int size = snprintf(record, sizeof(record),
                            "incarnation=%u\ncode=%d\nsignal=%d\noom_kills=%llu\ncpu_ms=%lld\n"
                            "max_resident_bytes=%lld\n",
                            launch_.incarnation, exit_.code, exit_.signal, exit_.oom_kills,
                            exit_.cpu_ms, exit_.max_resident_bytes);
  WriteFile(kExitFile, record, static_cast<size_t>(size), true);
}

void Shim::Loop() {
  while (true) {
    constexpr int kOthers = 5;
    pollfd polls[kOthers + kMaxClients] = {};
    polls[0] = {signal_fd_, POLLIN, 0};
    polls[1] = {listen_fd_, POLLIN, 0};
    polls[2] = {app_.stdout_fd, POLLIN, 0};
    polls[3] = {app_.stderr_fd, POLLIN, 0};
    polls[4] = {app_.binds_fd, POLLIN, 0};
    for (int i = 0; i < kMaxClients; ++i) polls[kOthers + i] = {clients_[i].fd, POLLIN, 0};
    poll(polls, kOthers + kMaxClients, PollTimeout());
    // The exit first: whoever waits for it waits for milliseconds.
    if (polls[0].revents != 0) OnChildSignal();
    for (int i = 0; i < kMaxClients; ++i) {
      if (polls[kOthers + i].revents != 0) OnClient(i);
    }
    if (polls[4].revents != 0) OnBind(polls[4].revents);
    if (polls[1].revents != 0) Accept();
    if (polls[2].revents != 0 || polls[3].revents != 0) DrainPipes();
    if (state_ == State::kExited) {
      if (CleanUp()) return;
    } else if (kill_at_ms_ >= 0 && MonotonicMs() >= kill_at_ms_) {
      KillAll();
      kill_at_ms_ = -1;
    }
  }
}

int Shim::PollTimeout() const {
  if (state_ == State::kExited) return kCleanUpPollMs;
  if (kill_at_ms_ < 0) return -1;
  const int64_t left = kill_at_ms_ - MonotonicMs();
  return left < 0 ? 0 : static_cast<int>(left < 60'000 ? left + 1 : 60'000);
}

void Shim::OnChildSignal() {
  signalfd_siginfo ignored = {};
  while (read(signal_fd_, &ignored, sizeof(ignored)) > 0) {
  }
  if (state_ == State::kRunning) {
    // Left unreaped: its pid stays taken, so its process group can be signalled safely.
    siginfo_t info = {};
    rusage used = {};  // the system call tells it, the function of the C library does not
    if (syscall(SYS_waitid, P_PID, app_.pid, &info, WEXITED | WNOHANG | WNOWAIT, &used) == 0 &&
        info.si_pid == app_.pid) {
      const bool by_itself = info.si_code == CLD_EXITED;
      AppExit exit;
      exit.code = by_itself ? info.si_status : 0;
      exit.signal = by_itself ? 0 : info.si_status;
      exit.cpu_ms = MillisOf(used.ru_utime) + MillisOf(used.ru_stime);
      exit.max_resident_bytes = static_cast<long long>(used.ru_maxrss) * 1'024;
      const Confinement& confinement = launch_.app.confinement;
      for (int i = 0; i < confinement.group_count; ++i) {
        exit.oom_kills += ReadOomKills(confinement.groups[i]);
      }
      OnAppExited(exit);
    }
  }
  ReapOthers(app_.pid, 0);
}

void Shim::OnAppExited(const AppExit& exit) {
  state_ = State::kExited;
  exit_ = exit;
  TellAll();
  WriteExitRecord();
  const int64_t now = MonotonicMs();
  if (stop_signal_ != 0) {
    // What left the group did not get the signal yet; what is in it has the rest of the grace.
    ReapOthers(app_.pid, stop_signal_);
    if (kill_at_ms_ < 0) kill_at_ms_ = now;
  } else {
    kill_at_ms_ = now;  // it crashed: its remains serve nobody
  }
  give_up_at_ms_ = kill_at_ms_ + kUnkillableMs;
}

void Shim::KillAll() {
  kill(-app_.pid, SIGKILL);
  // All groups of an instance hold the same processes.
  if (launch_.app.confinement.group_count > 0) KillGroup(launch_.app.confinement.groups[0]);
}

bool Shim::CleanUp() {
  const int64_t now = MonotonicMs();
  ChildCount left = ReapOthers(app_.pid, 0);
  if (!left.known) {
    KillAll();
    return true;
  }
  if (left.count == 0) return true;
  if (now >= kill_at_ms_) {
    KillAll();
    left = ReapOthers(app_.pid, SIGKILL);
  }
  return left.count == 0 || now >= give_up_at_ms_;
}

void Shim::Accept() {
  const int fd = accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  for (int i = 0; i < kMaxClients; ++i) {
    if (clients_[i].fd >= 0) continue;
    clients_[i].fd = fd;
    clients_[i].used = 0;
    DescribeState();
    Tell(i);
    return;
  }
  close(fd);
}

void Shim::OnClient(int index) {
  Client& client = clients_[index];
  const ssize_t count =
      read(client.fd, client.line + client.used, sizeof(client.line) - client.used);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count > 0) client.used += static_cast<unsigned>(count);
  while (count > 0) {
    auto* newline = static_cast<char*>(memchr(client.line, '\n', client.used));
    if (newline == nullptr) break;
    *newline = '\0';
    OnCommand(index, client.line);
    const auto taken = static_cast<unsigned>(newline + 1 - client.line);
    client.used -= taken;
    memmove(client.line, newline + 1, client.used);
  }
  if (count <= 0 || client.used == sizeof(client.line)) {
    close(client.fd);
    client.fd = -1;
  }
}

void Shim::OnCommand(int index, const char* line) {
  int signal = 0;
  long long grace_ms = 0;
  if (sscanf(line, "stop %d %lld", &signal, &grace_ms) == 2 && signal > 0 && signal < NSIG) {
    Stop(signal, grace_ms < 0 ? 0 : grace_ms);
  } else if (strcmp(line, "status") == 0) {
    DescribeState();
    Tell(index);
  }
}

void Shim::Stop(int signal, int64_t grace_ms) {
  const int64_t kill_at = MonotonicMs() + grace_ms;
  // Once: to many a server a second SIGTERM means "at once". Asked again, the earlier end holds.
  if (stop_signal_ == 0) {
    stop_signal_ = signal;
    kill_at_ms_ = kill_at;
    if (state_ == State::kRunning) kill(-app_.pid, signal);
  } else if (kill_at_ms_ >= 0 && kill_at < kill_at_ms_) {
    kill_at_ms_ = kill_at;
  }
}

void Shim::DescribeState() {
  switch (state_) {
    case State::kStarting:
      state_line_[0] = '\0';
      return;
    case State::kRunning:
      snprintf(state_line_, sizeof(state_line_), "running %u %d %llu %u %lld\n",
               launch_.incarnation, static_cast<int>(app_.pid), ReadStartTime(app_.pid),
               launch_.port, static_cast<long long>(started_unix_ms_));
      return;
    case State::kExited:
      snprintf(state_line_, sizeof(state_line_), "exited %u %d %d %llu %lld %lld\n",
               launch_.incarnation, exit_.code, exit_.signal, exit_.oom_kills, exit_.cpu_ms,
               exit_.max_resident_bytes);
      return;
  }
}

void Shim::TellAll() {
  DescribeState();
  for (int i = 0; i < kMaxClients; ++i) Tell(i);
}

void Shim::Tell(int index) {
  Client& client = clients_[index];
  const size_t size = strlen(state_line_);
  if (client.fd < 0 || size == 0) return;
  if (send(client.fd, state_line_, size, MSG_NOSIGNAL) != static_cast<ssize_t>(size)) {
    close(client.fd);  // gone, or stuck with a full buffer: it can connect again and be told
    client.fd = -1;
  }
}

void Shim::OnBind(int events) {
  if ((events & POLLIN) != 0) {
    AnswerBind(app_.binds_fd, launch_.app.lead.fixed, static_cast<uint16_t>(launch_.port));
  } else {
    close(app_.binds_fd);  // nobody is left who could call
    app_.binds_fd = -1;
  }
}

void Shim::DrainPipes() {
  const int64_t now = UnixMs();
  if (app_.stdout_fd >= 0 && stdout_.Feed(app_.stdout_fd, 'o', now, log_) == 0) {
    close(app_.stdout_fd);
    app_.stdout_fd = -1;
  }
  if (app_.stderr_fd >= 0 && stderr_.Feed(app_.stderr_fd, 'e', now, log_) == 0) {
    close(app_.stderr_fd);
    app_.stderr_fd = -1;
  }
}

void Shim::CloseLog() {
  const int64_t now = UnixMs();
  // Bounded: somebody we do not know may hold the pipe and write for ever.
  for (int i = 0; i < kLastReads && app_.stdout_fd >= 0; ++i) {
    if (stdout_.Feed(app_.stdout_fd, 'o', now, log_) <= 0) break;
  }
  for (int i = 0; i < kLastReads && app_.stderr_fd >= 0; ++i) {
    if (stderr_.Feed(app_.stderr_fd, 'e', now, log_) <= 0) break;
  }
  stdout_.Finish('o', now, log_);
  stderr_.Finish('e', now, log_);
}

}  // namespace pando::shim
