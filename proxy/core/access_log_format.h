// A request's line in the access log. Nothing a client sends can break out of its field: what is
// not printable is escaped.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/time.h"

namespace pando::proxy {

enum class AccessLogFormat {
  kJson,      // one object per line
  kCommon,    // Common Log Format, as by Apache and nginx
  kCombined,  // likewise, with referer and user agent
};

struct AccessRecord {
  WallTime ended{};
  std::string_view client;
  std::string_view method;  // empty: there was no head to read it from; likewise below
  std::string_view target;
  int minor_version = 1;
  std::string_view host;
  bool secure = false;
  int status = 0;               // 0: the client left before a response
  uint64_t bytes_received = 0;  // of the request's body
  uint64_t bytes_sent = 0;      // of the response's body
  std::string_view app;
  std::string_view instance;  // that answered, or else was tried last
  uint32_t attempts = 0;
  std::optional<std::chrono::nanoseconds> connect;     // absent: the connection was there
  std::optional<std::chrono::nanoseconds> first_byte;  // absent: there was none
  std::chrono::nanoseconds total{0};
  std::string_view request_id;
  std::string_view user_agent;
  std::string_view referer;
};

// Appends a line with its end.
void AppendAccessLine(AccessLogFormat format, const AccessRecord& record, std::string& out);

}  // namespace pando::proxy
