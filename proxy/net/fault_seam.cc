#include "proxy/net/fault_seam.h"

#include <dlfcn.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>

namespace pando::proxy {
namespace {

std::atomic<size_t> calls{0};
std::atomic<size_t> fails_at{SIZE_MAX};
std::atomic<Fault> fault_made{Fault::kBroken};
thread_local bool is_worker = false;

// Whether this very call is the one to fail.
bool Chosen(Fault& fault) {
  if (!is_worker) return false;
  fault = fault_made.load();
  return calls.fetch_add(1) == fails_at.load();
}

int Fails(int error) {
  errno = error;
  return -1;
}

// The errors of a call that moves bytes over a connection.
int ErrorOf(Fault fault, int broken) {
  switch (fault) {
    case Fault::kBroken:
      return broken;
    case Fault::kExhausted:
      return ENOMEM;
    case Fault::kInterrupted:
      return EINTR;
    case Fault::kPartial:
      break;
  }
  return 0;
}

template <class Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

void FailCall(size_t at, Fault fault) {
  fault_made = fault;
  calls = 0;
  fails_at = at;
}

void FailNoCall() {
  fails_at = SIZE_MAX;
  calls = 0;
}

size_t CallsMade() { return calls; }

}  // namespace pando::proxy

using pando::proxy::Fault;

extern "C" {

int epoll_wait(int epoll, epoll_event* events, int count, int timeout) {
  pando::proxy::is_worker = true;
  static auto* const next = pando::proxy::Next<decltype(epoll_wait)>("epoll_wait");
  return next(epoll, events, count, timeout);
}

int epoll_ctl(int epoll, int op, int fd, epoll_event* event) noexcept {
  Fault fault;
  static auto* const next = pando::proxy::Next<decltype(epoll_ctl)>("epoll_ctl");
  const bool may_fail = op == EPOLL_CTL_ADD && pando::proxy::Chosen(fault);
  if (may_fail && fault == Fault::kExhausted) return pando::proxy::Fails(ENOMEM);
  return next(epoll, op, fd, event);
}

ssize_t recv(int fd, void* buffer, size_t size, int flags) {
  Fault fault;
  static auto* const next = pando::proxy::Next<decltype(recv)>("recv");
  if (pando::proxy::Chosen(fault)) {
    if (const int error = pando::proxy::ErrorOf(fault, ECONNRESET); error != 0) {
      return pando::proxy::Fails(error);
    }
  }
  return next(fd, buffer, size, flags);
}

ssize_t send(int fd, const void* buffer, size_t size, int flags) {
  Fault fault;
  static auto* const next = pando::proxy::Next<decltype(send)>("send");
  if (pando::proxy::Chosen(fault)) {
    if (const int error = pando::proxy::ErrorOf(fault, EPIPE); error != 0) {
      return pando::proxy::Fails(error);
    }
    size = std::min<size_t>(size, 1);
  }
  return next(fd, buffer, size, flags);
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  Fault fault;
  static auto* const next = pando::proxy::Next<decltype(sendmsg)>("sendmsg");
  if (pando::proxy::Chosen(fault)) {
    if (const int error = pando::proxy::ErrorOf(fault, EPIPE); error != 0) {
      return pando::proxy::Fails(error);
    }
    return send(fd, message->msg_iov[0].iov_base, std::min<size_t>(message->msg_iov[0].iov_len, 1),
                flags);
  }
  return next(fd, message, flags);
}

int connect(int fd, const sockaddr* address, socklen_t size) {
  Fault fault;
  static auto* const next = pando::proxy::Next<decltype(connect)>("connect");
  if (pando::proxy::Chosen(fault)) {
    if (fault == Fault::kBroken) return pando::proxy::Fails(ECONNREFUSED);
    if (fault == Fault::kExhausted) return pando::proxy::Fails(EADDRNOTAVAIL);
  }
  return next(fd, address, size);
}

int socket(int family, int type, int protocol) noexcept {
  Fault fault;
  static auto* const next = pando::proxy::Next<decltype(socket)>("socket");
  if (pando::proxy::Chosen(fault) && fault == Fault::kExhausted) {
    return pando::proxy::Fails(EMFILE);
  }
  return next(family, type, protocol);
}

int accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  Fault fault;
  static auto* const next = pando::proxy::Next<decltype(accept4)>("accept4");
  if (pando::proxy::Chosen(fault)) {
    if (fault == Fault::kBroken) return pando::proxy::Fails(ECONNABORTED);
    if (fault == Fault::kExhausted) return pando::proxy::Fails(EMFILE);
    if (fault == Fault::kInterrupted) return pando::proxy::Fails(EINTR);
  }
  return next(fd, address, size, flags);
}

}  // extern "C"
