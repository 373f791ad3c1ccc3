// The heads a proxy sends on: what was received, without what was meant for one connection only,
// with what the next one needs. All functions append, so a reused string allocates nothing.
#pragma once

#include <string>
#include <string_view>

#include "proxy/core/h1_parser.h"

namespace pando::proxy {

// To an app: HTTP/1.1, kept alive. X-Forwarded-For gets `client_address` appended; -Proto and
// -Host are set.
void AppendRequestHead(const RequestHead& head, std::string_view client_address,
                       std::string_view scheme, std::string& out);

struct ResponseShape {
  int client_minor_version = 1;
  bool close = false;    // the connection ends with this response
  bool dechunk = false;  // a chunked body is sent as it is, ended by close: HTTP/1.0 clients
};
// To a client. Also for 1xx; 101 keeps its Upgrade.
void AppendResponseHead(const ResponseHead& head, const ResponseShape& shape, std::string& out);

struct OwnResponse {
  int status = 500;
  std::string_view text;  // one line without its end
  bool close = false;
  bool head_only = false;          // answers HEAD
  std::string_view location = {};  // of a redirect
};
// A response made here, in plain text; 503 says Retry-After.
void AppendOwnResponse(const OwnResponse& response, std::string& out);

}  // namespace pando::proxy
