#include "proxy/control/takeover.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/runtime/log.h"

namespace pando::proxy {
namespace {

constexpr int kAnswerSeconds = 10;
constexpr Millis kOverPatience{10'000};

std::string Text(const absl::Status& status) { return std::string(status.message()); }

}  // namespace

absl::StatusOr<std::optional<Inheritance>> AskForTakeover(const std::string& data_dir) {
  absl::StatusOr<UniqueFd> wire = ConnectForTakeover(data_dir);
  if (absl::IsNotFound(wire.status())) return std::nullopt;
  const auto failed = [](const absl::Status& status) {
    return absl::FailedPreconditionError(absl::StrCat(
        "--takeover: the running proxy did not hand over, and goes on: ", Text(status)));
  };
  if (!wire.ok()) return failed(wire.status());
  const timeval patience{.tv_sec = kAnswerSeconds, .tv_usec = 0};
  setsockopt(wire->get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  const absl::Status asked = SendTakeover(wire->get(), kTakeoverHello);
  if (!asked.ok()) return failed(asked);
  absl::StatusOr<Estate> estate = ReceiveEstate(wire->get());
  if (!estate.ok()) return failed(estate.status());
  return Inheritance{*std::move(estate), *std::move(wire)};
}

// ---- the new process

Succession::Succession(EventLoop& loop, UniqueFd wire, Hooks hooks)
    : loop_(loop), hooks_(std::move(hooks)), wire_(loop.io(), wire.release()) {}

void Succession::SayServing() {
  const absl::Status said = SendTakeover(wire_.native_handle(), kTakeoverServing);
  if (!said.ok()) LogWarn("the proxy taken over from is gone", {{"error", Text(said)}});
  Listen();
  loop_.RunAfter(kOverPatience, [this, alive = std::weak_ptr(alive_)] {
    if (alive.expired() || over_) return;
    LogWarn("the proxy taken over from does not answer; going on without its word", {});
    Over();
  });
}

void Succession::Listen() {
  wire_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                   [this, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
                     if (alive.expired() || error) return;
                     const auto message = ReceiveTakeover(wire_.native_handle());
                     const bool gone = !message.ok() || message->text.empty();
                     if (gone || message->text == kTakeoverOver) Over();
                     if (!gone) return Listen();
                     wire_.close();
                     hooks_.gone();
                   });
}

void Succession::Over() {
  if (!std::exchange(over_, true)) hooks_.over();
}

// ---- the old process

TakeoverServer::TakeoverServer(EventLoop& loop, std::string data_dir, Hooks hooks)
    : data_dir_(std::move(data_dir)),
      hooks_(std::move(hooks)),
      acceptor_(loop.io()),
      wire_(loop.io()) {}

void TakeoverServer::Start() {
  absl::StatusOr<UniqueFd> listening = ListenForTakeover(data_dir_);
  if (!listening.ok()) {
    LogWarn("this proxy cannot be upgraded in place", {{"error", Text(listening.status())}});
    return;
  }
  acceptor_.assign(listening->release());
  Accept();
}

void TakeoverServer::Stop() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  if (!handed_over_) wire_.close(ignored);
}

void TakeoverServer::Accept() {
  acceptor_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                       [this](const boost::system::error_code& error) {
                         if (error) return;
                         OnConnected();
                         if (acceptor_.is_open()) Accept();
                       });
}

void TakeoverServer::OnConnected() {
  UniqueFd wire(accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!wire.valid()) return;
  if (wire_.is_open()) {
    LogWarn("a takeover is under way already", {});
    return;  // hangs up
  }
  wire_.assign(wire.release());
  estate_sent_ = false;
  OnMessage();
}

void TakeoverServer::OnMessage() {
  wire_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                   [this](const boost::system::error_code& error) {
                     if (error) return;
                     const auto message = ReceiveTakeover(wire_.native_handle());
                     if (!message.ok()) return Forget(Text(message.status()));
                     if (message->text.empty()) return Forget("it ended before it served");
                     if (!estate_sent_ && message->text == kTakeoverHello) {
                       estate_sent_ = true;
                       const absl::Status sent = SendEstate(wire_.native_handle(), hooks_.estate());
                       if (!sent.ok()) return Forget(Text(sent));
                       return OnMessage();
                     }
                     if (!estate_sent_ || message->text != kTakeoverServing) {
                       return Forget("it says what is not understood here");
                     }
                     handed_over_ = true;
                     Stop();
                     hooks_.handed_over();
                     const absl::Status said = SendTakeover(wire_.native_handle(), kTakeoverOver);
                     if (!said.ok()) LogWarn("the successor is gone", {{"error", Text(said)}});
                   });
}

void TakeoverServer::Forget(const std::string& why) {
  LogWarn("no takeover; serving on", {{"error", why}});
  boost::system::error_code ignored;
  wire_.close(ignored);
}

}  // namespace pando::proxy
