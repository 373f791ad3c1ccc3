// What an app is told of the way a request took: who sent it, by which scheme and host, and by
// which ids it can be found again. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ip_range.h"
#include "proxy/core/h1_parser.h"
#include "proxy/core/random.h"

namespace pando::proxy {

// Of a listener.
struct ForwardPolicy {
  // What becomes of X-Forwarded-For (and Forwarded) of a client that is not trusted.
  enum class Mode : uint8_t {
    kReplace,  // it is dropped: anybody can write anything there
    kAppend,   // it is kept, the client's address behind it
  };
  Mode mode = Mode::kReplace;
  bool rfc7239 = false;      // tell it by Forwarded, too
  bool start_traces = true;  // a request without a traceparent gets one
  // Proxies in front of us: what they say of the way is kept, whatever the mode.
  std::vector<IpRange> trusted;

  bool Trusts(const IpAddress& peer) const;
  bool operator==(const ForwardPolicy&) const = default;
};

// Of one request.
struct RequestOrigin {
  std::string_view peer;             // the address at the other end of the connection
  std::string_view scheme = "http";  // spoken on it
  bool trusted = false;
};

// 1 to 128 characters that are safe to log and to search for.
bool IsRequestId(std::string_view text);
// W3C Trace Context level 1, and later versions as far as they must look like it.
bool IsTraceparent(std::string_view text);

// Appends the request's own id, or a new one of 32 hexadecimal digits.
void AppendRequestId(std::string_view received, FastRandom& random, std::string& out);
// Appends a traceparent that says "sampled".
void AppendNewTraceparent(FastRandom& random, std::string& out);

// Appends the lines X-Forwarded-For, -Proto and -Host, and Forwarded if the policy wants it; what
// of the request's own such fields is believed is in them.
void AppendForwardedLines(const RequestHead& head, const RequestOrigin& origin,
                          const ForwardPolicy& policy, std::string& out);

// Whether the request's Forwarded goes on as it is, instead.
inline bool PassesForwarded(const RequestOrigin& origin, const ForwardPolicy& policy) {
  return origin.trusted && !policy.rfc7239;
}

}  // namespace pando::proxy
