// What can be said of a listener, and of a route, beyond where and whereto. As values; who says
// them and in which words is the control side's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "common/base/time.h"
#include "proxy/core/forwarded.h"

namespace pando::proxy {

// How long and how much. Of a listener; what it does not say is the proxy's own default.
struct HttpLimits {
  Millis head_timeout{10'000};                // a client's whole request head
  Millis client_idle_timeout{75'000};         // between requests
  Millis stream_idle_timeout{300'000};        // no byte either way during a message or in a tunnel
  size_t max_request_line_bytes = 16 * 1024;  // 414
  size_t max_head_bytes = 64 * 1024;          // 431
  size_t max_fields = kDefaultMaxFields;      // 431
};

struct HttpOptions {
  std::optional<Millis> head_timeout;
  std::optional<Millis> client_idle_timeout;
  std::optional<Millis> stream_idle_timeout;
  std::optional<size_t> max_request_line_bytes;
  std::optional<size_t> max_head_bytes;
  std::optional<size_t> max_fields;
  // Connections must begin with a PROXY header, version 1 or 2, which names the client.
  bool proxy_protocol = false;
  ForwardPolicy forward;

  // `defaults` with what is said here in their place.
  HttpLimits Over(HttpLimits defaults) const {
    defaults.head_timeout = head_timeout.value_or(defaults.head_timeout);
    defaults.client_idle_timeout = client_idle_timeout.value_or(defaults.client_idle_timeout);
    defaults.stream_idle_timeout = stream_idle_timeout.value_or(defaults.stream_idle_timeout);
    defaults.max_request_line_bytes =
        max_request_line_bytes.value_or(defaults.max_request_line_bytes);
    defaults.max_head_bytes = max_head_bytes.value_or(defaults.max_head_bytes);
    defaults.max_fields = max_fields.value_or(defaults.max_fields);
    return defaults;
  }
  bool operator==(const HttpOptions&) const = default;
};

// Of a route; zero is "no limit".
struct RouteLimits {
  // From the request having been sent, its body included, to the response's head, for each attempt.
  // An instance that reads no more of a body has as long.
  Millis first_byte_timeout{0};
  // Likewise, but then another instance may be asked.
  Millis per_try_timeout{0};
  // From the request having been read to the end of the response; not of tunnels.
  Millis total_timeout{0};
  uint64_t max_body_bytes = 0;  // 413; of the payload, without the framing of chunks
  bool operator==(const RouteLimits&) const = default;
};

}  // namespace pando::proxy
