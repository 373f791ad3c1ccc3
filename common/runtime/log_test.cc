#include "common/runtime/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <string>
#include <thread>
#include <vector>

namespace pando {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

constexpr int64_t kTime = 1'795'435'445'123;  // 2026-11-23T12:04:05.123Z

TEST(LogTest, JsonLineHasTimeLevelEventAndFieldsInOrder) {
  EXPECT_EQ(FormatLogLine(LogFormat::kJson, kTime, LogLevel::kInfo, "instance exited",
                          {{"instance", "web.3"}, {"exit_code", "1"}}),
            R"({"time":"2026-11-23T12:04:05.123Z","level":"info","msg":"instance exited",)"
            R"("instance":"web.3","exit_code":"1"})");
}

TEST(LogTest, JsonSurvivesAnyBytes) {
  std::string every_byte;
  for (int c = 0; c < 256; ++c) every_byte += static_cast<char>(c);
  const std::string line =
      FormatLogLine(LogFormat::kJson, kTime, LogLevel::kError, "x", {{"bytes", every_byte}});
  EXPECT_EQ(line.find('\n'), std::string::npos);
  boost::json::error_code error;
  const boost::json::value parsed = boost::json::parse(line, error);  // also rejects bad UTF-8
  ASSERT_FALSE(error) << line;
  const boost::json::string& bytes = parsed.at("bytes").as_string();
  for (int c = 0; c < 128; ++c) EXPECT_EQ(bytes[c], static_cast<char>(c));
  EXPECT_THAT(std::string(bytes.data(), bytes.size()), HasSubstr("\xef\xbf\xbd"));
}

TEST(LogTest, JsonKeepsValidUtf8) {
  EXPECT_THAT(
      FormatLogLine(LogFormat::kJson, kTime, LogLevel::kInfo, "x", {{"name", "tremula ü→"}}),
      HasSubstr("\"name\":\"tremula ü→\""));
}

TEST(LogTest, TextLineIsForPeople) {
  EXPECT_THAT(FormatLogLine(LogFormat::kText, kTime, LogLevel::kInfo, "instance exited",
                            {{"instance", "web.3"}, {"exit_code", "1"}}),
              MatchesRegex("[0-9][0-9]:[0-9][0-9]:05.123 info  instance exited  "
                           "instance=web.3 exit_code=1"));
}

TEST(LogTest, TextQuotesWhatWouldBeAmbiguous) {
  struct Case {
    std::string value, want;
  };
  const Case cases[] = {{"plain/1.2:3", "v=plain/1.2:3"},
                        {"two words", "v=\"two words\""},
                        {"", "v=\"\""},
                        {"a=b", "v=\"a=b\""},
                        {"a\nb", "v=\"a\\nb\""},
                        {"say \"hi\"", "v=\"say \\\"hi\\\"\""},
                        {"\x1b[31mred", "v=\"\\u001b[31mred\""}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.want);
    EXPECT_THAT(FormatLogLine(LogFormat::kText, kTime, LogLevel::kWarn, "e", {{"v", c.value}}),
                ::testing::EndsWith("  " + c.want));
  }
}

TEST(LogTest, InitNamesWhatIsAllowed) {
  EXPECT_TRUE(InitLog("text", "debug").ok());
  EXPECT_TRUE(InitLog("auto", "info").ok());
  EXPECT_EQ(InitLog("xml", "info").message(),
            "--log-format: \"xml\" is not one of auto, text, json");
  EXPECT_EQ(InitLog("json", "loud").message(),
            "--log-level: \"loud\" is not one of debug, info, warn, error");
}

TEST(LogTest, WritesWholeLinesFromManyThreadsAndDropsLowerLevels) {
  ASSERT_TRUE(InitLog("json", "warn").ok());
  testing::internal::CaptureStderr();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 50; ++i) {
        LogWarn("kept {braces}", {{"i", std::to_string(i)}});
        LogInfo("dropped");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::string written = testing::internal::GetCapturedStderr();
  ASSERT_TRUE(InitLog("auto", "info").ok());
  EXPECT_EQ(std::ranges::count(written, '\n'), 200);
  EXPECT_EQ(written.find("dropped"), std::string::npos);
  EXPECT_THAT(
      written.substr(0, written.find('\n')),
      MatchesRegex(R"(\{"time":"[^"]+","level":"warn","msg":"kept \{braces\}","i":"[0-9]+"\})"));
}

}  // namespace
}  // namespace pando
