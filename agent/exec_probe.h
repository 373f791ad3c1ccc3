// A probe that runs a program: it passes when the program exits with 0. The program has a process
// group of its own, which is killed as a whole at the timeout, and when the program has ended.
#pragma once

#include <sys/types.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "agent/probe_answer.h"
#include "common/base/time.h"

namespace pando::agent {

struct ProbeCommand {
  std::string shim_path;
  std::vector<std::string> shim_arguments;  // where it runs and what it is held to
  std::vector<std::string> argv;
  std::vector<std::string> environment;  // "NAME=value"
};

// The last line of a program's output that is not blank, bounded.
class LastLine {
 public:
  void Append(absl::string_view text);
  // Valid UTF-8.
  std::string Get() const;

 private:
  std::string current_;
  std::string last_;
};

// Lives on the loop until the program has ended. Not thread-safe.
class ExecProbe : public std::enable_shared_from_this<ExecProbe> {
 public:
  // `done` is called once, within the timeout; `ended` once, when nothing of it runs any more.
  ExecProbe(boost::asio::io_context& io, Millis timeout, ProbeDone done,
            std::function<void()> ended);
  ~ExecProbe();

  // An error: it could not be started, neither function is called.
  absl::Status Begin(const ProbeCommand& command);
  // Ends it now; neither function is called any more.
  void Abandon();

 private:
  absl::Status Spawn(const ProbeCommand& command);
  void Read();
  void DrainOutput();
  void OnExit();
  void KillGroup();
  void Finish(std::string failure);
  std::string WithLastLine(const std::string& text) const;

  boost::asio::steady_timer timer_;
  boost::asio::posix::stream_descriptor output_;
  boost::asio::posix::stream_descriptor pidfd_;
  Millis timeout_;
  ProbeDone done_;
  std::function<void()> ended_;
  pid_t pid_ = 0;  // a child that is not waited for: its number is its own. 0: there is none
  LastLine last_line_;
  std::array<char, 4'096> chunk_{};
};

}  // namespace pando::agent
