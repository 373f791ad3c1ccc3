// Structured logs: an event's name and its fields, once. On a terminal
//   12:04:05.123 info  instance exited  instance=web.3 exit_code=1
// otherwise one JSON object a line: {"time":"2026-11-23T12:04:05.123Z","level":"info",
// "msg":"instance exited","instance":"web.3","exit_code":"1"}. Goes to stderr. Thread-safe.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"

namespace pando {

enum class LogFormat { kAuto, kText, kJson };
enum class LogLevel { kDebug, kInfo, kWarn, kError };

struct LogField {
  std::string key;
  std::string value;
};
using LogFields = std::initializer_list<LogField>;

// "auto" | "text" | "json" and "debug" | "info" | "warn" | "error"; the error names what is
// allowed.
absl::Status InitLog(std::string_view format, std::string_view level);

void Log(LogLevel level, std::string_view event, LogFields fields);
inline void LogDebug(std::string_view event, LogFields fields = {}) {
  Log(LogLevel::kDebug, event, fields);
}
inline void LogInfo(std::string_view event, LogFields fields = {}) {
  Log(LogLevel::kInfo, event, fields);
}
inline void LogWarn(std::string_view event, LogFields fields = {}) {
  Log(LogLevel::kWarn, event, fields);
}
inline void LogError(std::string_view event, LogFields fields = {}) {
  Log(LogLevel::kError, event, fields);
}

// One line as it would be written, without the line end (exposed for tests).
std::string FormatLogLine(LogFormat format, int64_t unix_millis, LogLevel level,
                          std::string_view event, LogFields fields);

}  // namespace pando
