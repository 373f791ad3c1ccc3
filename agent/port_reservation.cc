#include "agent/port_reservation.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace pando::agent {
namespace {

absl::Status Taken(uint16_t port) {
  return absl::UnavailableError(absl::StrCat("port ", port, " is taken"));
}

// SO_REUSEADDR, as servers do it: connections of an earlier instance in TIME_WAIT are no hindrance;
// somebody who listens is.
absl::Status CheckBind(uint16_t port, int family, const sockaddr* address, socklen_t size) {
  const UniqueFd fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) {
    if (errno == EAFNOSUPPORT) return absl::OkStatus();  // no IPv6 here: nobody can use it
    return absl::ErrnoToStatus(errno, "cannot make a socket");
  }
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (family == AF_INET6) setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
  const bool is_free = bind(fd.get(), address, size) == 0 || errno == EADDRNOTAVAIL;
  return is_free ? absl::OkStatus() : Taken(port);
}

absl::Status CheckFree(uint16_t port) {
  sockaddr_in v4 = {};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  sockaddr_in6 v6 = {};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  PANDO_RETURN_IF_ERROR(
      CheckBind(port, AF_INET, reinterpret_cast<const sockaddr*>(&v4), sizeof(v4)));
  return CheckBind(port, AF_INET6, reinterpret_cast<const sockaddr*>(&v6), sizeof(v6));
}

}  // namespace

absl::StatusOr<UniqueFd> ReservePort(uint16_t port) {
  // An abstract socket: it lives in the network namespace, as ports do, and goes with its holder.
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, "cannot make a socket");
  const std::string name = absl::StrCat("pando-port-", port);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path + 1, name.data(), name.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return Taken(port);
  PANDO_RETURN_IF_ERROR(CheckFree(port));
  return fd;
}

}  // namespace pando::agent
