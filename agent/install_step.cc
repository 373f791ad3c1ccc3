#include "agent/install_step.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/install_log.h"
#include "agent/spawn.h"
#include "agent/utf8.h"
#include "common/runtime/unique_fd.h"

namespace pando::agent {
namespace {

constexpr int kPollMs = 100;
constexpr size_t kTailBytes = 16 << 10;
constexpr size_t kLastLines = 8;
constexpr size_t kLastLineBytes = 200;
constexpr int kLockFd = 3;

std::vector<std::string> Environment(const InstallStep& step) {
  const char* const path = getenv("PATH");
  std::vector<std::string> environment = {
      absl::StrCat("PATH=", path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin"),
      absl::StrCat("HOME=", step.home)};
  if (const char* const lang = getenv("LANG")) environment.push_back(absl::StrCat("LANG=", lang));
  if (!step.user.empty()) {
    environment.push_back(absl::StrCat("USER=", step.user));
    environment.push_back(absl::StrCat("LOGNAME=", step.user));
  }
  return environment;
}

// Above the numbers the child gets them as, so that none overwrites another.
UniqueFd Raise(int fd) { return UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 16)); }

// Readable when the time is over.
UniqueFd Timer(Millis timeout) {
  UniqueFd timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  itimerspec when{};
  when.it_value.tv_sec = timeout.count() / 1'000;
  when.it_value.tv_nsec = timeout.count() % 1'000 * 1'000'000;
  timerfd_settime(timer.get(), 0, &when, nullptr);
  return timer;
}

// 0, or an errno.
int SpawnStep(const InstallStep& step, int output, int lock, pid_t& pid) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  const absl::Cleanup free_files = [&files] { posix_spawn_file_actions_destroy(&files); };
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, output, STDERR_FILENO);
  posix_spawn_file_actions_adddup2(&files, lock, kLockFd);
  posix_spawn_file_actions_addclosefrom_np(&files, kLockFd + 1);
  posix_spawn_file_actions_addchdir_np(&files, step.dir.c_str());

  const SpawnAttributes attributes(POSIX_SPAWN_SETSID);
  std::vector<std::string> argv = step.runner, environment = Environment(step);
  argv.insert(argv.end(), step.argv.begin(), step.argv.end());
  return posix_spawnp(&pid, argv[0].c_str(), &files, attributes.get(), Pointers(argv).data(),
                      Pointers(environment).data());
}

// What is printed: all of it goes to the log, the newest is kept here.
class Output {
 public:
  explicit Output(const std::string& log) : log_(log) {}

  // False at the end.
  bool ReadFrom(int fd) {
    char piece[4'096];
    const ssize_t size = read(fd, piece, sizeof(piece));
    if (size < 0) return errno == EINTR || errno == EAGAIN;
    text_.append(piece, static_cast<size_t>(size));
    log_.Write({piece, static_cast<size_t>(size)});
    if (text_.size() > 2 * kTailBytes) text_.erase(0, text_.size() - kTailBytes);
    return size > 0;
  }
  std::vector<std::string> Lines() const {
    std::vector<std::string> lines;
    for (const absl::string_view line : absl::StrSplit(text_, '\n', absl::SkipWhitespace())) {
      lines.push_back(ToValidUtf8(std::string(line.substr(0, kLastLineBytes))));
    }
    if (lines.size() > kLastLines) lines.erase(lines.begin(), lines.end() - kLastLines);
    return lines;
  }

 private:
  InstallLog log_;
  std::string text_;
};

absl::Status Failed(const std::string& why, const std::vector<std::string>& lines) {
  return absl::AbortedError(absl::StrCat("install failed: ", why, lines.empty() ? "" : ": ",
                                         lines.empty() ? "" : lines.back()));
}

std::string DescribeEnd(int status) {
  if (WIFEXITED(status)) return absl::StrCat("exit ", WEXITSTATUS(status));
  return absl::StrCat("killed by signal ", WTERMSIG(status));
}

}  // namespace

InstallResult RunInstallStep(const InstallStep& step, const std::function<bool()>& stop) {
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) {
    return {absl::ErrnoToStatus(errno, "cannot make a pipe"), {}};
  }
  const UniqueFd output(pipe_ends[0]);
  UniqueFd child_end(pipe_ends[1]);
  fcntl(output.get(), F_SETFL, O_NONBLOCK);
  UniqueFd raised = Raise(child_end.get());
  const UniqueFd lock = Raise(step.lock_fd);
  const UniqueFd timer = Timer(step.timeout);
  pid_t pid = 0;
  if (const int error = SpawnStep(step, raised.get(), lock.get(), pid); error != 0) {
    return {absl::ErrnoToStatus(error, absl::StrCat("install failed: cannot start ", step.argv[0])),
            {}};
  }
  child_end.reset();
  raised.reset();
  const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));

  Output printed(step.log);
  bool open = true, ended = false, late = false, stopped = false;
  while (!ended && !late && !stopped) {
    pollfd fds[] = {{process.get(), POLLIN, 0},
                    {open ? output.get() : -1, POLLIN, 0},
                    {timer.get(), POLLIN, 0}};
    poll(fds, std::size(fds), kPollMs);
    if (open && fds[1].revents != 0) open = printed.ReadFrom(output.get());
    ended = fds[0].revents != 0;
    late = fds[2].revents != 0;
    stopped = stop();
  }
  // Before it is waited for: until then the group's number is its own.
  kill(-pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  while (open) {
    pollfd fd = {output.get(), POLLIN, 0};
    if (poll(&fd, 1, 0) <= 0) break;
    open = printed.ReadFrom(output.get());
  }
  InstallResult result;
  result.last_lines = printed.Lines();
  if (stopped) {
    result.status = absl::CancelledError("stopped");
  } else if (!ended) {
    result.status = Failed(absl::StrCat("not finished within ", step.timeout.count() / 1'000, " s"),
                           result.last_lines);
  } else if (status != 0) {
    result.status = Failed(DescribeEnd(status), result.last_lines);
  }
  return result;
}

}  // namespace pando::agent
