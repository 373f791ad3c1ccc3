#include "agent/shim_client.h"

#include <sys/wait.h>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/remains.h"

namespace pando::agent {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr Millis kRemainsPoll{5};
constexpr int kRemainsPolls = 1'000;  // then they are unkillable: in uninterruptible sleep

template <class... Numbers>
bool ReadNumbers(const std::vector<absl::string_view>& words, Numbers&... numbers) {
  if (words.size() != 1 + sizeof...(numbers)) return false;
  size_t i = 1;
  const auto read = [&](auto& number) {
    int64_t value = 0;
    if (!absl::SimpleAtoi(words[i++], &value)) return false;
    number = static_cast<std::remove_reference_t<decltype(number)>>(value);
    return true;
  };
  return (read(numbers) && ...);
}

}  // namespace

std::optional<ShimEvent> ParseShimLine(absl::string_view line) {
  const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
  if (words[0] == "running") {
    ShimRunning running;
    if (!ReadNumbers(words, running.incarnation, running.app.pid, running.app.start_time,
                     running.port, running.started_unix_ms)) {
      return std::nullopt;
    }
    return running;
  }
  if (words[0] == "exited") {
    ShimExited exited;
    Exit& exit = exited.exit;
    // Shims of an earlier version, which run on when the agent is upgraded, say less.
    if (ReadNumbers(words, exited.incarnation, exit.code, exit.signal) ||
        ReadNumbers(words, exited.incarnation, exit.code, exit.signal, exit.oom_kills, exit.cpu_ms,
                    exit.max_resident_bytes)) {
      return exited;
    }
    return std::nullopt;
  }
  if (words[0] == "failed" && words.size() >= 2) {
    ShimFailed failed;
    if (!absl::SimpleAtoi(words[1], &failed.incarnation)) return std::nullopt;
    line.remove_prefix(words[0].size() + 1 + words[1].size());
    failed.reason = std::string(line.substr(line.empty() ? 0 : 1));
    return failed;
  }
  return std::nullopt;
}

class ShimClient::Session : public std::enable_shared_from_this<Session> {
 public:
  Session(EventLoop& loop, SpawnedShim shim, Handler handler)
      : loop_(loop),
        traces_{shim.app, shim.id, std::move(shim.group), std::move(shim.mark)},
        socket_(loop.io(), asio::local::stream_protocol(), shim.session.release()),
        pidfd_(loop.io(), shim.pidfd.release()),
        handler_(std::move(handler)) {}

  void Begin() { ReadLine(); }

  void Close() {
    handler_ = nullptr;
    error_code ignored;
    socket_.close(ignored);
    pidfd_.close(ignored);
  }

  void Send(std::string line) {
    if (!socket_.is_open()) return;
    // A few bytes into an empty buffer: never blocks in practice, and the shim reads promptly.
    error_code ignored;
    asio::write(socket_, asio::buffer(line), ignored);
  }

 private:
  void ReadLine() {
    asio::async_read_until(socket_, buffer_, '\n',
                           [self = shared_from_this()](const error_code& error, size_t size) {
                             if (!self->handler_) return;
                             if (error) return self->AwaitEnd();
                             self->OnLine(size);
                           });
  }

  void OnLine(size_t size) {
    const auto data = buffer_.data();
    const std::string line(asio::buffers_begin(data),
                           asio::buffers_begin(data) + static_cast<std::ptrdiff_t>(size - 1));
    buffer_.consume(size);
    if (const auto event = ParseShimLine(line)) {
      if (const auto* running = std::get_if<ShimRunning>(&*event)) traces_.app = running->app;
      app_is_over_ = !std::holds_alternative<ShimRunning>(*event);
      handler_(*event);
    }
    if (handler_) ReadLine();
  }

  // The connection is gone, so the shim is, or is about to be.
  void AwaitEnd() {
    error_code ignored;
    socket_.close(ignored);
    pidfd_.async_wait(asio::posix::stream_descriptor::wait_read, [self = shared_from_this()](
                                                                     const error_code& error) {
      if (!self->handler_ || error) return;
      siginfo_t info = {};  // reaps it if it is our child
      waitid(P_PIDFD, static_cast<id_t>(self->pidfd_.native_handle()), &info, WEXITED | WNOHANG);
      // One that ended by itself has cleared up; what is in the control group goes all the same.
      const bool was_killed = info.si_pid != 0 && info.si_code != CLD_EXITED;
      if (self->app_is_over_ && !was_killed) {
        self->traces_.app.reset();
        self->traces_.mark.clear();
      }
      self->ClearUp(0);
    });
  }

  void ClearUp(int polls) {
    if (!handler_) return;
    if (polls < kRemainsPolls && KillRemains(traces_) > 0) {
      loop_.RunAfter(kRemainsPoll,
                     [self = shared_from_this(), polls] { self->ClearUp(polls + 1); });
      return;
    }
    // The handler may destroy the client.
    const Handler handler = std::exchange(handler_, nullptr);
    handler(ShimEnded{});
  }

  EventLoop& loop_;
  Traces traces_;
  asio::local::stream_protocol::socket socket_;
  asio::posix::stream_descriptor pidfd_;
  asio::streambuf buffer_{1'024};
  Handler handler_;
  bool app_is_over_ = false;
};

ShimClient::ShimClient(EventLoop& loop, SpawnedShim shim, Handler handler)
    : session_(std::make_shared<Session>(loop, std::move(shim), std::move(handler))) {
  session_->Begin();
}

ShimClient::~ShimClient() { session_->Close(); }

void ShimClient::Stop(int signal, Millis grace) {
  session_->Send(absl::StrCat("stop ", signal, " ", grace.count(), "\n"));
}

}  // namespace pando::agent
