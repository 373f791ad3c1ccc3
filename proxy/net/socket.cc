#include "proxy/net/socket.h"

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace pando::proxy {

absl::StatusOr<SocketAddress> MakeSocketAddress(const std::string& address, uint16_t port) {
  SocketAddress result;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&result.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&result.storage);
  if (inet_pton(AF_INET, address.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    result.size = sizeof(*v4);
  } else if (inet_pton(AF_INET6, address.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    result.size = sizeof(*v6);
  } else {
    return absl::InvalidArgumentError(absl::StrCat(address, " is not an IP address"));
  }
  return result;
}

void Stream::NoteEvents(uint32_t epoll_events) {
  if ((epoll_events & EPOLLIN) != 0) readable_ = true;
  if ((epoll_events & EPOLLOUT) != 0) writable_ = true;
  if ((epoll_events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) readable_ = peer_closed_ = true;
  if ((epoll_events & EPOLLERR) != 0) failed_ = true;
}

Stream::Result Stream::Receive(std::span<char> buffer, std::string_view& bytes) {
  if (!readable_) return Result::kWait;
  while (true) {
    const ssize_t n = recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (n > 0) {
      bytes = {buffer.data(), static_cast<size_t>(n)};
      received_bytes_ += bytes.size();
      // Less than was asked for: drained, and the next byte brings a new event. The end of the
      // stream does not, if it was announced already.
      if (bytes.size() < buffer.size() && !peer_closed_) readable_ = false;
      return Result::kBytes;
    }
    if (n == 0) return Result::kEnd;
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return Result::kError;
    readable_ = false;
    return Result::kWait;
  }
}

bool Stream::HasUnexpectedInput() {
  char byte = 0;
  const ssize_t n = recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

bool Stream::Send(std::string_view first, std::string_view second) {
  while (writable_ && unsent_.empty() && !(first.empty() && second.empty())) {
    ssize_t n = 0;
    if (second.empty()) {
      n = send(fd_.get(), first.data(), first.size(), MSG_NOSIGNAL);
    } else {
      iovec parts[2] = {{const_cast<char*>(first.data()), first.size()},
                        {const_cast<char*>(second.data()), second.size()}};
      msghdr message{};
      message.msg_iov = parts;
      message.msg_iovlen = 2;
      n = sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
    }
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS && errno != ENOMEM) {
        return false;
      }
      writable_ = false;
      break;
    }
    auto sent = static_cast<size_t>(n);
    sent_bytes_ += sent;
    const size_t of_first = std::min(sent, first.size());
    first.remove_prefix(of_first);
    second.remove_prefix(sent - of_first);
  }
  unsent_.Append(first);
  unsent_.Append(second);
  return true;
}

bool Stream::Flush() {
  while (writable_ && !unsent_.empty()) {
    const ssize_t n = send(fd_.get(), unsent_.view().data(), unsent_.size(), MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) return false;
      writable_ = false;
      return true;
    }
    sent_bytes_ += static_cast<uint64_t>(n);
    unsent_.Consume(static_cast<size_t>(n));
  }
  return true;
}

void Stream::ShutdownWrite() { shutdown(fd_.get(), SHUT_WR); }

void Stream::CloseWithReset() {
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  fd_.reset();
}

}  // namespace pando::proxy
