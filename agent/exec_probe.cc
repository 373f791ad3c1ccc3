#include "agent/exec_probe.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "agent/core/exit.h"
#include "agent/spawn.h"
#include "agent/utf8.h"
#include "common/base/status_macros.h"
#include "common/runtime/unique_fd.h"

namespace pando::agent {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr size_t kMaxLine = 200;

}  // namespace

void LastLine::Append(absl::string_view text) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const absl::string_view part = text.substr(0, end);
    absl::StrAppend(&current_, part.substr(0, kMaxLine - std::min(kMaxLine, current_.size())));
    if (end == absl::string_view::npos) return;
    if (!absl::StripAsciiWhitespace(current_).empty()) last_ = current_;
    current_.clear();
    text.remove_prefix(end + 1);
  }
}

std::string LastLine::Get() const {
  const absl::string_view current = absl::StripAsciiWhitespace(current_);
  return ToValidUtf8(std::string(current.empty() ? absl::StripAsciiWhitespace(last_) : current));
}

ExecProbe::ExecProbe(asio::io_context& io, Millis timeout, ProbeDone done,
                     std::function<void()> ended)
    : timer_(io),
      output_(io),
      pidfd_(io),
      timeout_(timeout),
      done_(std::move(done)),
      ended_(std::move(ended)) {}

ExecProbe::~ExecProbe() {
  // The loop was destroyed before the program ended: nobody will wait for it any more.
  if (pid_ == 0) return;
  KillGroup();
  waitpid(pid_, nullptr, WNOHANG);
}

absl::Status ExecProbe::Spawn(const ProbeCommand& command) {
  int pair[2];
  if (pipe2(pair, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "cannot make a pipe");
  UniqueFd read_end(pair[0]);
  const UniqueFd write_end(pair[1]);

  std::vector<std::string> argv = {"pando-shim", "--run", "probe"};
  argv.insert(argv.end(), command.shim_arguments.begin(), command.shim_arguments.end());
  argv.emplace_back("--");
  argv.insert(argv.end(), command.argv.begin(), command.argv.end());
  std::vector<std::string> environment = command.environment;

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  const absl::Cleanup free_files = [&files] { posix_spawn_file_actions_destroy(&files); };
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, write_end.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, write_end.get(), STDERR_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);

  const SpawnAttributes attributes(POSIX_SPAWN_SETPGROUP);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, command.shim_path.c_str(), &files, attributes.get(),
                                Pointers(argv).data(), Pointers(environment).data());
  if (error != 0) return absl::ErrnoToStatus(error, "cannot start a process");
  pid_ = pid;
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  error_code failed;
  if (pidfd >= 0) pidfd_.assign(pidfd, failed);
  if (pidfd < 0 || failed) {
    KillGroup();
    waitpid(std::exchange(pid_, 0), nullptr, 0);
    return absl::ErrnoToStatus(pidfd < 0 ? errno : failed.value(), "cannot watch a process");
  }
  output_.assign(read_end.release(), failed);
  output_.non_blocking(true, failed);
  return absl::OkStatus();
}

absl::Status ExecProbe::Begin(const ProbeCommand& command) {
  PANDO_RETURN_IF_ERROR(Spawn(command));
  const auto self = shared_from_this();
  timer_.expires_after(timeout_);
  timer_.async_wait([self](const error_code& error) {
    if (error || self->pid_ == 0) return;
    self->Finish(
        self->WithLastLine(absl::StrCat("no exit within ", self->timeout_.count(), " ms")));
    self->KillGroup();
  });
  pidfd_.async_wait(asio::posix::stream_descriptor::wait_read, [self](const error_code& error) {
    if (!error) self->OnExit();
  });
  Read();
  return absl::OkStatus();
}

void ExecProbe::Read() {
  output_.async_read_some(asio::buffer(chunk_),
                          [self = shared_from_this()](const error_code& error, size_t size) {
                            if (error) return;
                            self->last_line_.Append({self->chunk_.data(), size});
                            self->Read();
                          });
}

// What was printed right before the exit. Bounded: a process that left the group may go on.
void ExecProbe::DrainOutput() {
  constexpr int kMostChunks = 16;  // the size of a pipe
  for (int i = 0; i < kMostChunks; ++i) {
    const ssize_t size = read(output_.native_handle(), chunk_.data(), chunk_.size());
    if (size <= 0) return;
    last_line_.Append({chunk_.data(), static_cast<size_t>(size)});
  }
}

void ExecProbe::OnExit() {
  if (pid_ == 0) return;
  KillGroup();  // what it started and did not wait for
  int status = 0;
  waitpid(std::exchange(pid_, 0), &status, 0);
  DrainOutput();
  error_code ignored;
  timer_.cancel();
  output_.close(ignored);
  pidfd_.close(ignored);
  Exit exit;
  exit.code = WIFSIGNALED(status) ? 0 : WEXITSTATUS(status);
  exit.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  const bool passed = exit == Exit{};
  Finish(passed ? "" : WithLastLine(DescribeExit(exit, 0)));
  if (const auto ended = std::exchange(ended_, nullptr)) ended();
}

void ExecProbe::Abandon() {
  done_ = nullptr;
  ended_ = nullptr;
  if (pid_ != 0) KillGroup();
}

void ExecProbe::KillGroup() {
  // Its leader is our child and not waited for, so no stranger can have the group's number.
  kill(-pid_, SIGKILL);
}

void ExecProbe::Finish(std::string failure) {
  if (const ProbeDone done = std::exchange(done_, nullptr)) done({std::move(failure)});
}

std::string ExecProbe::WithLastLine(const std::string& text) const {
  const std::string line = last_line_.Get();
  return line.empty() ? text : absl::StrCat(text, ": ", line);
}

}  // namespace pando::agent
