#include "proxy/core/access_log_format.h"

#include <gtest/gtest.h>

namespace pando::proxy {
namespace {

using std::chrono::microseconds;

AccessRecord Full() {
  AccessRecord record;
  record.ended = FromUnixMillis(1'790'000'000'042);
  record.client = "192.0.2.7";
  record.method = "GET";
  record.target = "/a?b=c";
  record.host = "example.com";
  record.secure = true;
  record.status = 200;
  record.bytes_received = 3;
  record.bytes_sent = 4'096;
  record.app = "web";
  record.instance = "web.3";
  record.attempts = 2;
  record.connect = microseconds(250);
  record.first_byte = microseconds(12'003);
  record.total = microseconds(1'000'000);
  record.request_id = "4f2a";
  record.user_agent = "curl/8";
  record.referer = "https://example.com/";
  return record;
}

std::string Line(AccessLogFormat format, const AccessRecord& record) {
  std::string out;
  AppendAccessLine(format, record, out);
  return out;
}

TEST(AccessLogFormatTest, WritesEveryFieldAsJson) {
  EXPECT_EQ(Line(AccessLogFormat::kJson, Full()),
            R"({"time":"2026-09-21T14:13:20.042Z","client":"192.0.2.7","method":"GET",)"
            R"("path":"/a?b=c","host":"example.com","scheme":"https","protocol":"HTTP/1.1",)"
            R"("status":200,"bytes_received":3,"bytes_sent":4096,"app":"web","instance":"web.3",)"
            R"("attempts":2,"connect_ms":0.250,"first_byte_ms":12.003,"total_ms":1000.000,)"
            R"("request_id":"4f2a","user_agent":"curl/8","referer":"https://example.com/"})"
            "\n");
}

TEST(AccessLogFormatTest, LeavesOutWhatThereIsNone) {
  AccessRecord record;
  record.client = "::1";
  record.status = 400;
  EXPECT_EQ(Line(AccessLogFormat::kJson, record),
            R"({"time":"1970-01-01T00:00:00.000Z","client":"::1","scheme":"http",)"
            R"("protocol":"HTTP/1.1","status":400,"bytes_received":0,"bytes_sent":0,)"
            R"("attempts":0,"total_ms":0.000})"
            "\n");
  EXPECT_EQ(Line(AccessLogFormat::kCombined, record),
            "::1 - - [01/Jan/1970:00:00:00 +0000] \"-\" 400 0 \"-\" \"-\"\n");
}

TEST(AccessLogFormatTest, WritesTheCommonFormats) {
  const std::string common =
      "192.0.2.7 - - [21/Sep/2026:14:13:20 +0000] \"GET /a?b=c HTTP/1.1\" 200 4096";
  EXPECT_EQ(Line(AccessLogFormat::kCommon, Full()), common + "\n");
  EXPECT_EQ(Line(AccessLogFormat::kCombined, Full()),
            common + " \"https://example.com/\" \"curl/8\"\n");
  AccessRecord left = Full();
  left.status = 0;
  EXPECT_EQ(Line(AccessLogFormat::kCommon, left),
            "192.0.2.7 - - [21/Sep/2026:14:13:20 +0000] \"GET /a?b=c HTTP/1.1\" 499 4096\n");
}

// Whatever a client sends: one line, and no way out of its quotes.
TEST(AccessLogFormatTest, EscapesWhatCouldBreakALine) {
  for (int byte = 0; byte < 256; ++byte) {
    SCOPED_TRACE(byte);
    const std::string evil = std::string("x") + static_cast<char>(byte) + "y";
    AccessRecord record = Full();
    record.method = record.target = record.host = record.user_agent = record.referer = evil;
    record.request_id = record.instance = record.client = evil;
    for (const auto format :
         {AccessLogFormat::kJson, AccessLogFormat::kCommon, AccessLogFormat::kCombined}) {
      const std::string line = Line(format, record);
      const std::string harmless = Line(format, [] {
        AccessRecord same = Full();
        same.method = same.target = same.host = same.user_agent = same.referer = "x";
        same.request_id = same.instance = same.client = "x";
        return same;
      }());
      size_t quotes = 0;
      for (size_t i = 0; i < line.size(); ++i) {
        const auto c = static_cast<unsigned char>(line[i]);
        EXPECT_TRUE((c >= 0x20 && c < 0x7f) || i + 1 == line.size()) << line;
        if (c == '"' && line[i - 1] != '\\') ++quotes;
      }
      size_t harmless_quotes = 0;
      for (const char c : harmless) harmless_quotes += c == '"';
      EXPECT_EQ(quotes, harmless_quotes) << line;
    }
  }
}

}  // namespace
}  // namespace pando::proxy
