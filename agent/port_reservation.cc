#include "agent/port_reservation.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"

namespace pando::agent {
namespace {

// SO_REUSEADDR, as servers do it: connections of an earlier instance in TIME_WAIT are no hindrance;
// somebody who listens is.
bool CanBind(int family, const sockaddr* address, socklen_t size) {
  const UniqueFd fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return errno == EAFNOSUPPORT;  // no IPv6 here: nobody can use it
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (family == AF_INET6) setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
  return bind(fd.get(), address, size) == 0 || errno == EADDRNOTAVAIL;
}

bool IsFree(uint16_t port) {
  sockaddr_in v4 = {};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  sockaddr_in6 v6 = {};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  return CanBind(AF_INET, reinterpret_cast<const sockaddr*>(&v4), sizeof(v4)) &&
         CanBind(AF_INET6, reinterpret_cast<const sockaddr*>(&v6), sizeof(v6));
}

}  // namespace

std::optional<UniqueFd> ReservePort(uint16_t port) {
  // An abstract socket: it lives in the network namespace, as ports do, and goes with its holder.
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return std::nullopt;
  const std::string name = absl::StrCat("pando-port-", port);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path + 1, name.data(), name.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 || !IsFree(port)) {
    return std::nullopt;
  }
  return fd;
}

}  // namespace pando::agent
