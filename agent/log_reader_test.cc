// The log as the shim writes it and as it is read back.
#include "agent/log_reader.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "agent/shim/log_file.h"
#include "agent/testing/test_harness.h"
#include "agent/utf8.h"

namespace pando::agent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr int64_t kTime = 1'795'435'445'123;  // 2026-11-23T12:04:05.123Z

class LogTest : public testing::Test {
 protected:
  // Files are relative to the current directory, as in a shim.
  LogTest() : before_(open(".", O_PATH)) { EXPECT_EQ(chdir(temp_.path().c_str()), 0); }
  ~LogTest() override {
    EXPECT_EQ(fchdir(before_), 0);
    close(before_);
  }

  void Write(shim::LogFile& log, const std::string& text, char stream = 'o') {
    log.Append(stream, kTime, text.data(), text.size());
    log.Flush();
  }
  static std::vector<std::string> Texts(const std::vector<LogLine>& lines) {
    std::vector<std::string> texts;
    for (const LogLine& line : lines) texts.push_back(line.text);
    return texts;
  }
  std::vector<std::string> Read(LogReader& reader) { return Texts(reader.Read(1'000, 1 << 20)); }

  TempDir temp_;
  int before_;
};

TEST_F(LogTest, LinesComeBackAsTheyWereWritten) {
  const auto log = std::make_unique<shim::LogFile>("out.log", 1 << 20, 3);
  ASSERT_EQ(log->Open(), 0);
  Write(*log, "listening on 20000");
  Write(*log, "", 'e');
  EXPECT_EQ(*ReadFile("out.log"),
            "2026-11-23T12:04:05.123Z o listening on 20000\n2026-11-23T12:04:05.123Z e \n");
  LogReader reader(temp_.path(), 10);
  EXPECT_THAT(reader.Read(10, 1'000),
              ElementsAre(LogLine{kTime, false, "listening on 20000"}, LogLine{kTime, true, ""}));
}

TEST_F(LogTest, TailsTheLastLinesOverRotatedFilesAndFollows) {
  // 33 bytes a line: three lines a file.
  const auto log = std::make_unique<shim::LogFile>("out.log", 100, 3);
  ASSERT_EQ(log->Open(), 0);
  for (int i = 10; i < 20; ++i) Write(*log, "line" + std::to_string(i % 100).substr(1));
  struct Case {
    uint32_t tail;
    std::vector<std::string> want;
  };
  const Case cases[] = {
      {0, {}},
      {1, {"line9"}},
      {2, {"line8", "line9"}},
      {5, {"line5", "line6", "line7", "line8", "line9"}},
      {7, {"line3", "line4", "line5", "line6", "line7", "line8", "line9"}},
      {99, {"line3", "line4", "line5", "line6", "line7", "line8", "line9"}},
  };
  for (const Case& c : cases) {
    LogReader reader(temp_.path(), c.tail);
    EXPECT_EQ(Read(reader), c.want) << c.tail;
  }
  LogReader reader(temp_.path(), 1);
  EXPECT_THAT(Read(reader), ElementsAre("line9"));
  EXPECT_THAT(Read(reader), IsEmpty());
  for (int i = 0; i < 5; ++i) Write(*log, "next" + std::to_string(i));
  EXPECT_THAT(Read(reader), ElementsAre("next0", "next1", "next2", "next3", "next4"));
}

TEST_F(LogTest, ABatchIsBoundedAndTheNextOneGoesOn) {
  const auto log = std::make_unique<shim::LogFile>("out.log", 1 << 20, 3);
  ASSERT_EQ(log->Open(), 0);
  for (int i = 0; i < 5; ++i) Write(*log, "line" + std::to_string(i));
  LogReader reader(temp_.path(), 10);
  EXPECT_THAT(Texts(reader.Read(2, 1'000)), ElementsAre("line0", "line1"));
  EXPECT_THAT(Texts(reader.Read(10, 1)), ElementsAre("line2"));
  EXPECT_THAT(Read(reader), ElementsAre("line3", "line4"));
}

TEST_F(LogTest, ALogThatDoesNotExistYetIsReadFromItsBegin) {
  LogReader reader(temp_.path(), 10);
  EXPECT_THAT(Read(reader), IsEmpty());
  const auto log = std::make_unique<shim::LogFile>("out.log", 1 << 20, 3);
  ASSERT_EQ(log->Open(), 0);
  Write(*log, "first");
  EXPECT_THAT(Read(reader), ElementsAre("first"));
}

TEST_F(LogTest, PipesAreCutIntoLinesAndLongOnesAreSplit) {
  const auto log = std::make_unique<shim::LogFile>("out.log", 1 << 20, 3);
  ASSERT_EQ(log->Open(), 0);
  const auto splitter = std::make_unique<shim::LineSplitter>();
  int pipe[2];
  ASSERT_EQ(pipe2(pipe, O_NONBLOCK), 0);
  const auto feed = [&](const std::string& text) {
    ASSERT_EQ(write(pipe[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
    while (splitter->Feed(pipe[0], 'o', kTime, *log) > 0) {
    }
  };
  constexpr size_t kMax = shim::LineSplitter::kMaxLine;
  LogReader reader(temp_.path(), 0);
  feed("one\ntw");
  EXPECT_THAT(Read(reader), ElementsAre("one"));
  feed("o\n\nthree\n");
  EXPECT_THAT(Read(reader), ElementsAre("two", "", "three"));
  feed(std::string(kMax, 'x') + "\nafter\n");
  EXPECT_THAT(Read(reader), ElementsAre(std::string(kMax, 'x'), "after"));
  feed(std::string(kMax + 5, 'y') + "\n");
  EXPECT_THAT(Read(reader), ElementsAre(std::string(kMax, 'y'), "yyyyy"));
  feed("no end");
  EXPECT_THAT(Read(reader), IsEmpty());
  splitter->Finish('o', kTime, *log);
  EXPECT_THAT(Read(reader), ElementsAre("no end"));
  close(pipe[0]);
  close(pipe[1]);
}

TEST_F(LogTest, AFullDiskHoldsUpNobody) {
  const auto log = std::make_unique<shim::LogFile>("/dev/full", 1 << 20, 3);
  ASSERT_EQ(log->Open(), 0);
  for (int i = 0; i < 10; ++i) Write(*log, "lost");  // neither blocks nor ends the process
}

TEST(LogTimeTest, DatesAreCivil) {
  struct Case {
    int64_t unix_ms;
    const char* want;
  };
  const Case cases[] = {{0, "1970-01-01T00:00:00.000Z"},
                        {951'782'399'999, "2000-02-28T23:59:59.999Z"},
                        {951'782'400'000, "2000-02-29T00:00:00.000Z"},
                        {kTime, "2026-11-23T12:04:05.123Z"},
                        {4'107'542'400'000, "2100-03-01T00:00:00.000Z"}};
  for (const Case& c : cases) {
    char text[25] = "";
    shim::FormatTime(c.unix_ms, text);
    EXPECT_STREQ(text, c.want);
    LogLine line;
    EXPECT_TRUE(ParseLogLine(std::string(text) + " o x", line));
    EXPECT_EQ(line.time_unix_ms, c.unix_ms);
  }
}

TEST(Utf8Test, OnlyWhatIsNotUtf8IsReplaced) {
  EXPECT_EQ(ToValidUtf8("plain"), "plain");
  EXPECT_EQ(ToValidUtf8("gr\xC3\xBC\xC3\x9F \xF0\x9F\x8C\xB2"),
            "gr\xC3\xBC\xC3\x9F \xF0\x9F\x8C\xB2");
  EXPECT_EQ(ToValidUtf8("a\xFFz"), "a\xEF\xBF\xBDz");
  EXPECT_EQ(ToValidUtf8("cut \xE2\x82"), "cut \xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(ToValidUtf8("\xC0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(ToValidUtf8("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
}

}  // namespace
}  // namespace pando::agent
