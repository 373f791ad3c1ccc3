// The PROXY protocol, versions 1 and 2: what a load balancer says of a connection before the
// connection's own bytes. Read as strictly as heads are. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "common/base/ip_range.h"

namespace pando::proxy {

struct ProxyHeader {
  enum class Result { kIncomplete, kComplete, kBad };
  Result result = Result::kIncomplete;
  size_t size = 0;  // of the header, when it is complete
  // The client's; nullopt: the balancer speaks for itself (a health check), or does not say.
  std::optional<IpAddress> source;
};

// `data` starts at the connection's first byte. Unix socket addresses and datagrams are bad: no
// client of ours has either.
ProxyHeader ReadProxyHeader(std::string_view data);

}  // namespace pando::proxy
