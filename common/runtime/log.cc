#include "common/runtime/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/json.hpp>
#include <boost/nowide/utf/convert.hpp>
#include <chrono>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"

namespace pando {
namespace {

constexpr std::string_view kLevelNames[] = {"debug", "info", "warn", "error"};

std::string_view NameOf(LogLevel level) { return kLevelNames[static_cast<int>(level)]; }

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  std::abort();  // not an enumerator
}

// Output of other programs and names from the network end up in logs: bytes that are not UTF-8
// become U+FFFD, or a reader of JSON would reject the line.
std::string ToUtf8(std::string_view bytes) {
  return boost::nowide::utf::convert_string<char>(bytes.data(), bytes.data() + bytes.size());
}

std::string Quoted(std::string_view text) {
  return boost::json::serialize(boost::json::value(ToUtf8(text)));
}

// Bare where that is unambiguous, quoted otherwise; a line of log stays one line.
std::string ForPeople(std::string_view text, bool spaces_are_plain) {
  const bool plain = !text.empty() && std::ranges::all_of(text, [&](char c) {
    return c == ' ' ? spaces_are_plain : c > ' ' && c < 0x7f && c != '"' && c != '=';
  });
  return plain ? std::string(text) : Quoted(text);
}

struct Output {
  std::atomic<LogFormat> format{isatty(STDERR_FILENO) ? LogFormat::kText : LogFormat::kJson};
  spdlog::logger logger{"pando", std::make_shared<spdlog::sinks::stderr_sink_mt>()};
  Output() { logger.set_pattern("%v"); }
};

// Never destroyed: threads of libraries may log while the process exits.
Output& GlobalOutput() {
  static Output& output = *new Output;
  return output;
}

}  // namespace

absl::Status InitLog(std::string_view format, std::string_view level) {
  LogFormat chosen = LogFormat::kText;
  if (format == "auto") {
    chosen = isatty(STDERR_FILENO) ? LogFormat::kText : LogFormat::kJson;
  } else if (format == "json") {
    chosen = LogFormat::kJson;
  } else if (format != "text") {
    return absl::InvalidArgumentError(
        absl::StrCat("--log-format: \"", std::string(format), "\" is not one of auto, text, json"));
  }
  const auto* found = std::ranges::find(kLevelNames, level);
  if (found == std::end(kLevelNames)) {
    return absl::InvalidArgumentError(absl::StrCat("--log-level: \"", std::string(level),
                                                   "\" is not one of debug, info, warn, error"));
  }
  Output& output = GlobalOutput();
  output.format = chosen;
  output.logger.set_level(ToSpdlog(static_cast<LogLevel>(found - std::begin(kLevelNames))));
  return absl::OkStatus();
}

std::string FormatLogLine(LogFormat format, int64_t unix_millis, LogLevel level,
                          std::string_view event, LogFields fields) {
  const absl::Time time = absl::FromUnixMillis(unix_millis);
  if (format == LogFormat::kJson) {
    boost::json::object line;
    line["time"] = absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
    line["level"] = boost::json::string_view(NameOf(level).data(), NameOf(level).size());
    line["msg"] = ToUtf8(event);
    for (const LogField& field : fields) line[ToUtf8(field.key)] = ToUtf8(field.value);
    return boost::json::serialize(line);
  }
  std::string line =
      absl::StrFormat("%s %-5s %s", absl::FormatTime("%H:%M:%E3S", time, absl::LocalTimeZone()),
                      std::string(NameOf(level)), ForPeople(event, /*spaces_are_plain=*/true));
  const char* separator = "  ";
  for (const LogField& field : fields) {
    absl::StrAppend(&line, separator, field.key, "=",
                    ForPeople(field.value, /*spaces_are_plain=*/false));
    separator = " ";
  }
  return line;
}

void Log(LogLevel level, std::string_view event, LogFields fields) {
  Output& output = GlobalOutput();
  const auto spdlog_level = ToSpdlog(level);
  if (!output.logger.should_log(spdlog_level)) return;
  const int64_t unix_millis = std::chrono::duration_cast<std::chrono::milliseconds>(
                                  std::chrono::system_clock::now().time_since_epoch())
                                  .count();
  const std::string line = FormatLogLine(output.format, unix_millis, level, event, fields);
  output.logger.log(spdlog_level, spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace pando
