#include "proxy/core/access_log_format.h"

#include <array>
#include <charconv>
#include <ctime>
#include <initializer_list>

namespace pando::proxy {
namespace {

constexpr char kHex[] = "0123456789abcdef";

void Append(std::string& out, std::initializer_list<std::string_view> parts) {
  for (const std::string_view part : parts) out.append(part);
}

template <class Number>
void AppendNumber(Number number, std::string& out) {
  std::array<char, 24> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

void AppendTwoDigits(int number, std::string& out) {
  out += static_cast<char>('0' + number / 10 % 10);
  out += static_cast<char>('0' + number % 10);
}

// Milliseconds with microseconds as decimals.
void AppendMillis(std::chrono::nanoseconds time, std::string& out) {
  const int64_t micros = time.count() < 0 ? 0 : time.count() / 1'000;
  AppendNumber(micros / 1'000, out);
  out += '.';
  const auto rest = static_cast<int>(micros % 1'000);
  out += static_cast<char>('0' + rest / 100);
  AppendTwoDigits(rest % 100, out);
}

struct CalendarTime {
  std::tm parts{};
  int millis = 0;
};

CalendarTime ToCalendar(WallTime time) {
  CalendarTime result;
  const auto since = std::chrono::duration_cast<Millis>(time.time_since_epoch()).count();
  result.millis = static_cast<int>(since % 1'000);
  const auto seconds = static_cast<std::time_t>(since / 1'000);
  gmtime_r(&seconds, &result.parts);
  return result;
}

// ---- JSON

bool IsPlain(unsigned char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; }

// Bytes beyond ASCII may be no UTF-8; each becomes the character of its number.
void AppendJsonText(std::string_view text, std::string& out) {
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (IsPlain(byte)) {
      out += c;
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else {
      out.append("\\u00");
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  out += '"';
}

void AppendJsonField(std::string_view name, std::string_view text, std::string& out) {
  if (text.empty()) return;
  Append(out, {",\"", name, "\":"});
  AppendJsonText(text, out);
}

template <class Number>
void AppendJsonNumber(std::string_view name, Number number, std::string& out) {
  Append(out, {",\"", name, "\":"});
  AppendNumber(number, out);
}

void AppendJsonMillis(std::string_view name, std::optional<std::chrono::nanoseconds> time,
                      std::string& out) {
  if (!time) return;
  Append(out, {",\"", name, "\":"});
  AppendMillis(*time, out);
}

void AppendIsoTime(WallTime time, std::string& out) {
  const CalendarTime calendar = ToCalendar(time);
  AppendNumber(calendar.parts.tm_year + 1900, out);
  out += '-';
  AppendTwoDigits(calendar.parts.tm_mon + 1, out);
  out += '-';
  AppendTwoDigits(calendar.parts.tm_mday, out);
  out += 'T';
  AppendTwoDigits(calendar.parts.tm_hour, out);
  out += ':';
  AppendTwoDigits(calendar.parts.tm_min, out);
  out += ':';
  AppendTwoDigits(calendar.parts.tm_sec, out);
  out += '.';
  out += static_cast<char>('0' + calendar.millis / 100);
  AppendTwoDigits(calendar.millis % 100, out);
  out += 'Z';
}

void AppendJson(const AccessRecord& record, std::string& out) {
  out.append("{\"time\":\"");
  AppendIsoTime(record.ended, out);
  out += '"';
  AppendJsonField("client", record.client, out);
  AppendJsonField("method", record.method, out);
  AppendJsonField("path", record.target, out);
  AppendJsonField("host", record.host, out);
  Append(out, {",\"scheme\":\"", record.secure ? "https" : "http", "\",\"protocol\":\"HTTP/1."});
  AppendNumber(record.minor_version, out);
  out += '"';
  AppendJsonNumber("status", record.status, out);
  AppendJsonNumber("bytes_received", record.bytes_received, out);
  AppendJsonNumber("bytes_sent", record.bytes_sent, out);
  AppendJsonField("app", record.app, out);
  AppendJsonField("instance", record.instance, out);
  AppendJsonNumber("attempts", record.attempts, out);
  AppendJsonMillis("connect_ms", record.connect, out);
  AppendJsonMillis("first_byte_ms", record.first_byte, out);
  AppendJsonMillis("total_ms", record.total, out);
  AppendJsonField("request_id", record.request_id, out);
  AppendJsonField("user_agent", record.user_agent, out);
  AppendJsonField("referer", record.referer, out);
  out.append("}\n");
}

// ---- Common Log Format

void AppendEscaped(std::string_view text, std::string& out) {
  if (text.empty()) out += '-';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (IsPlain(byte)) {
      out += c;
    } else {
      out.append("\\x");
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
}

void AppendClfTime(WallTime time, std::string& out) {
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::tm parts = ToCalendar(time).parts;
  AppendTwoDigits(parts.tm_mday, out);
  Append(out, {"/", kMonths[parts.tm_mon], "/"});
  AppendNumber(parts.tm_year + 1900, out);
  out += ':';
  AppendTwoDigits(parts.tm_hour, out);
  out += ':';
  AppendTwoDigits(parts.tm_min, out);
  out += ':';
  AppendTwoDigits(parts.tm_sec, out);
  out.append(" +0000");
}

void AppendCommon(const AccessRecord& record, std::string& out) {
  AppendEscaped(record.client, out);
  out.append(" - - [");
  AppendClfTime(record.ended, out);
  out.append("] \"");
  if (record.method.empty()) {
    out += '-';
  } else {
    AppendEscaped(record.method, out);
    out += ' ';
    AppendEscaped(record.target, out);
    out.append(" HTTP/1.");
    AppendNumber(record.minor_version, out);
  }
  out.append("\" ");
  // What others write for a client that left.
  AppendNumber(record.status == 0 ? 499 : record.status, out);
  out += ' ';
  AppendNumber(record.bytes_sent, out);
}

}  // namespace

void AppendAccessLine(AccessLogFormat format, const AccessRecord& record, std::string& out) {
  switch (format) {
    case AccessLogFormat::kJson:
      return AppendJson(record, out);
    case AccessLogFormat::kCommon:
      AppendCommon(record, out);
      break;
    case AccessLogFormat::kCombined:
      AppendCommon(record, out);
      out.append(" \"");
      AppendEscaped(record.referer, out);
      out.append("\" \"");
      AppendEscaped(record.user_agent, out);
      out += '"';
      break;
  }
  out += '\n';
}

}  // namespace pando::proxy
