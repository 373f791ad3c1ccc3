#include "proxy/net/listener.h"

#include <netinet/tcp.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "proxy/net/h1_session.h"
#include "proxy/net/worker.h"

namespace pando::proxy {
namespace {

constexpr int kBacklog = 4096;
constexpr int kAcceptBatch = 64;
constexpr Millis kFirstPause{10};
constexpr Millis kLongestPause{1'000};

absl::Status CannotListen(const Listener& listener, int error) {
  std::string reason = std::strerror(error);
  if (!reason.empty() && reason[0] >= 'A' && reason[0] <= 'Z') reason[0] += 'a' - 'A';
  const std::string text = absl::StrCat("listener ", listener.name, ": cannot listen on ",
                                        Spell({listener.address, listener.port}), ": ", reason);
  return error == EADDRINUSE ? absl::AlreadyExistsError(text) : absl::UnavailableError(text);
}

}  // namespace

std::string Spell(const ListenAddress& address) {
  const bool v6 = address.first.find(':') != std::string::npos;
  return v6 ? absl::StrCat("[", address.first, "]:", address.second)
            : absl::StrCat(address.first, ":", address.second);
}

absl::StatusOr<std::vector<UniqueFd>> OpenListener(const Listener& listener, int count,
                                                   bool shared) {
  absl::StatusOr<SocketAddress> address = MakeSocketAddress(listener.address, listener.port);
  if (!address.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("listener ", listener.name, ": ", std::string(address.status().message())));
  }
  const int family = address->get()->sa_family;
  const auto open = [&](bool reuse_port, UniqueFd& fd) {
    fd.reset(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd.valid()) return errno;
    const int on = 1;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (reuse_port) setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    // Inherited by what is accepted.
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    // Clients speak first: until one has, there is nothing to accept it for. The kernel gives up
    // waiting after about a second.
    const int seconds = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds));
    if (family == AF_INET6) setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(fd.get(), address->get(), address->size) != 0) return errno;
    if (!reuse_port) return 0;
    return listen(fd.get(), kBacklog) != 0 ? errno : 0;
  };
  if (!shared) {
    UniqueFd probe;  // refused when anybody listens there
    if (const int error = open(false, probe); error != 0) return CannotListen(listener, error);
  }
  std::vector<UniqueFd> sockets(static_cast<size_t>(count));
  for (UniqueFd& fd : sockets) {
    if (const int error = open(true, fd); error != 0) return CannotListen(listener, error);
  }
  return sockets;
}

AcceptSource::AcceptSource(Worker& worker, const ListenerState& listener, UniqueFd fd)
    : worker_(worker), listener_(listener), fd_(std::move(fd)), next_pause_(kFirstPause) {}

absl::Status AcceptSource::Start() { return worker_.poller().Add(fd_.get(), *this, EPOLLIN); }

void AcceptSource::OnReady(uint32_t) {
  if (!fd_.valid()) return;
  if (AcceptBatch(batch_)) {
    next_pause_ = kFirstPause;
    return;
  }
  worker_.pool().CloseAllIdle();
  worker_.poller().Remove(fd_.get());
  Pause();
}

void AcceptSource::OnTimer() {
  if (!fd_.valid()) return;
  if (!Start().ok()) Pause();
}

void AcceptSource::Pause() {
  worker_.stats().accept_pauses.Add();
  worker_.poller().timers().Arm(*this, worker_.poller().now() + next_pause_);
  next_pause_ = std::min(next_pause_ * 2, kLongestPause);
}

void AcceptSource::Stop(bool take_waiting) {
  if (!fd_.valid()) return;
  if (take_waiting) {
    AcceptBatch(kBacklog);
  } else {
    worker_.poller().Remove(fd_.get());  // its duplicates elsewhere would keep it in the set
  }
  fd_.reset();
  worker_.poller().timers().Cancel(*this);
}

bool AcceptSource::AcceptBatch(int limit) {
  for (int i = 0; i < limit; ++i) {
    SocketAddress peer;
    peer.size = sizeof(peer.storage);
    UniqueFd fd(accept4(fd_.get(), reinterpret_cast<sockaddr*>(&peer.storage), &peer.size,
                        SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd.valid()) {
      worker_.Accept(std::move(fd), listener_, peer);
      continue;
    }
    switch (errno) {
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM:
        return false;
      case EAGAIN:
        batch_ = 1;
        return true;
      default:
        break;  // a client that is gone already: the next one
    }
  }
  batch_ = std::min(batch_ * 2, kAcceptBatch);
  return true;
}

}  // namespace pando::proxy
