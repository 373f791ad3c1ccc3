// What the shim writes when files are full, cannot be opened, or the disk is: and that a reader
// gets every line of it, or is told how much it missed.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/log_reader.h"
#include "agent/shim/log_file.h"
#include "agent/testing/test_harness.h"

namespace pando::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int64_t kTime = 1'795'435'445'123;
constexpr int64_t kLineBytes = 33;  // of "line0" and its like: 27 of prefix, 5, the newline

class LogRotationTest : public testing::Test {
 protected:
  LogRotationTest() : before_(open(".", O_PATH)) { EXPECT_EQ(chdir(temp_.path().c_str()), 0); }
  ~LogRotationTest() override {
    EXPECT_EQ(fchdir(before_), 0);
    close(before_);
  }

  std::unique_ptr<shim::LogFile> MakeLog(int64_t max_bytes, int files = 3) const {
    auto log = std::make_unique<shim::LogFile>("out.log", max_bytes, files);
    EXPECT_EQ(log->Open(), 0);
    return log;
  }
  static void Write(shim::LogFile& log, const std::string& text, int64_t time = kTime) {
    log.Append('o', time, text.data(), text.size());
    log.Flush();
  }
  std::vector<std::string> Read(LogReader& reader) const {
    std::vector<std::string> texts;
    while (true) {
      const std::vector<LogLine> lines = reader.Read(1'000, 1 << 20);
      if (lines.empty()) return texts;
      for (const LogLine& line : lines) texts.push_back(line.text);
    }
  }
  std::vector<std::string> ReadAll() const {
    LogReader reader(temp_.path(), kAllLines);
    return Read(reader);
  }

  TempDir temp_;
  int before_;
};

// Lets files of this process grow to so many bytes only, as a full disk does.
class DiskLimit {
 public:
  explicit DiskLimit(rlim_t bytes) {
    handler_ = signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit = {bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~DiskLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_ = {};
  sighandler_t handler_ = SIG_DFL;
};

TEST_F(LogRotationTest, ALineThatIsWrittenInPartIsTakenBackAndTheLossIsCounted) {
  const auto log = MakeLog(1 << 20);
  Write(*log, "line0");
  {
    const DiskLimit limit(kLineBytes * 2 + 10);  // ends in the third line
    for (int i = 1; i <= 4; ++i) {
      const std::string text = absl::StrCat("line", i);
      log->Append('o', kTime, text.data(), text.size());
    }
    log->Flush();
  }
  Write(*log, "after");
  EXPECT_THAT(ReadAll(), ElementsAre("line0", "line1",
                                     "pando: 3 lines of log were lost: File too large", "after"));
}

TEST_F(LogRotationTest, ThePartOfALineThatAKilledShimLeftIsEnded) {
  std::ofstream("out.log") << "2026-11-23T12:04:05.123Z o whole\n2026-11-23T12:04:05.123Z o pa";
  const auto log = MakeLog(1 << 20);
  Write(*log, "after");
  EXPECT_THAT(ReadAll(), ElementsAre("whole", "pa", "after"));
}

TEST_F(LogRotationTest, SizeTimesCountIsABound) {
  const auto log = MakeLog(1'000, 3);
  for (int i = 0; i < 1'000; ++i) Write(*log, absl::StrCat("line", i));
  int64_t bytes = 0;
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(temp_.path())) {
    bytes += static_cast<int64_t>(entry.file_size());
    EXPECT_LE(entry.file_size(), 1'000u + 64u) << entry.path();
    ++files;
  }
  EXPECT_EQ(files, 3);
  EXPECT_GT(bytes, 2'000);
  EXPECT_EQ(ReadAll().back(), "line999");
}

TEST_F(LogRotationTest, WhenNoFileCanBeOpenedTheNewestTakesTwiceAsMuchAndTheRestIsCounted) {
  const auto log = MakeLog(kLineBytes * 3);
  // In the way of the next file.
  ASSERT_EQ(mkdir("out.log.new", 0700), 0);
  for (int i = 0; i < 8; ++i) Write(*log, absl::StrCat("line", i));
  EXPECT_THAT(ReadAll(), ElementsAre("line0", "line1", "line2", "line3", "line4", "line5"));
  ASSERT_EQ(rmdir("out.log.new"), 0);
  Write(*log, "line8");
  EXPECT_THAT(ReadAll(), ElementsAre("line0", "line1", "line2", "line3", "line4", "line5",
                                     "pando: 2 lines of log were lost: Is a directory", "line8"));
}

TEST_F(LogRotationTest, AReaderThatKeepsUpMissesNothing) {
  const auto log = MakeLog(kLineBytes * 3);
  LogReader reader(temp_.path(), kAllLines);
  for (int i = 0; i < 100; ++i) {
    Write(*log, absl::StrCat("line", i % 10));
    EXPECT_THAT(Read(reader), ElementsAre(absl::StrCat("line", i % 10))) << i;
  }
}

TEST_F(LogRotationTest, WhatWasRotatedAwayUnreadIsToldInBytes) {
  const auto log = MakeLog(kLineBytes * 2);
  LogReader reader(temp_.path(), kAllLines);
  Write(*log, "line0");
  EXPECT_THAT(Read(reader), ElementsAre("line0"));
  for (int i = 1; i < 9; ++i) Write(*log, absl::StrCat("line", i));
  // Files of two lines: [0 1] [2 3] [4 5] [6 7] [8]. The first is still open, the last three exist.
  // What is missing is the second, with its first line.
  const std::vector<std::string> texts = Read(reader);
  ASSERT_EQ(texts.size(), 7u);
  EXPECT_EQ(texts[0], "line1");
  EXPECT_EQ(texts[1], absl::StrCat("pando: ", 2 * kLineBytes + 30,
                                   " bytes of log were rotated away before they were read"));
  EXPECT_THAT(std::vector<std::string>(texts.begin() + 2, texts.end()),
              ElementsAre("line4", "line5", "line6", "line7", "line8"));
}

// The writer does not wait for the reader: whatever the moment of a rotation is, lines are either
// read in order or their loss is told.
TEST_F(LogRotationTest, LinesAreReadOrToldWheneverFilesAreRotated) {
  constexpr int kLines = 60'000;
  // Before the first line: one who comes later is not told of what was gone by then.
  LogReader reader(temp_.path(), kAllLines);
  std::atomic<bool> done = false;
  std::thread writer([&] {
    const auto log = MakeLog(2'000);
    for (int i = 0; i < kLines; ++i) Write(*log, absl::StrCat(i));
    done = true;
  });
  int next = 0;
  bool gap = false;
  while (true) {
    const bool is_last = done;
    const std::vector<LogLine> lines = reader.Read(100, 1 << 20);
    for (const LogLine& line : lines) {
      int number = 0;
      if (!absl::SimpleAtoi(line.text, &number)) {
        EXPECT_THAT(line.text, HasSubstr("were rotated away"));
        gap = true;
        continue;
      }
      if (number != next) {
        EXPECT_TRUE(gap) << next << " is followed by " << number;
        EXPECT_GT(number, next);
      }
      gap = false;
      next = number + 1;
    }
    if (is_last && lines.empty()) break;
  }
  writer.join();
  EXPECT_EQ(next, kLines);
}

TEST_F(LogRotationTest, ReadingBeginsAtATimeInWhicheverFileItIs) {
  const auto log = MakeLog(200'000);
  constexpr int kLines = 20'000;  // 42 bytes each: five files, of which three are kept
  for (int i = 0; i < kLines; ++i)
    Write(*log, absl::StrCat("numbered ", 10'000 + i), kTime + i / 2);
  const auto oldest = ReadAll();
  ASSERT_LT(oldest.size(), size_t{kLines});
  for (const int at : {kLines - 1, kLines - 2, 15'000, 12'345, 10'001, 10'000, 9'600}) {
    LogReader reader(temp_.path(), {kAllLines, kTime + at / 2});
    const auto texts = Read(reader);
    ASSERT_FALSE(texts.empty());
    EXPECT_EQ(texts.front(), absl::StrCat("numbered ", 10'000 + at / 2 * 2));
    EXPECT_EQ(texts.size(), size_t(kLines - at / 2 * 2));
  }
  LogReader before(temp_.path(), {kAllLines, kTime - 1});
  EXPECT_EQ(Read(before), oldest);
  LogReader after(temp_.path(), {kAllLines, kTime + kLines});
  EXPECT_THAT(Read(after), IsEmpty());
  Write(*log, "new");
  EXPECT_THAT(Read(after), ElementsAre("new"));
  LogReader both(temp_.path(), {3, kTime + 9'000});
  EXPECT_EQ(Read(both).size(), 3u);
}

TEST_F(LogRotationTest, ThePreviousStartIsFoundAlsoOverFiles) {
  const auto log = MakeLog(kLineBytes * 3);
  LogReader none(temp_.path(), {kAllLines, 0, LogRange::Starts::kPrevious});
  EXPECT_FALSE(none.found_previous());
  log->MarkStart("out.log.starts", 1);
  Write(*log, "first");
  LogReader only_one(temp_.path(), {kAllLines, 0, LogRange::Starts::kPrevious});
  EXPECT_FALSE(only_one.found_previous());
  log->MarkStart("out.log.starts", 2);
  for (int i = 0; i < 4; ++i) Write(*log, absl::StrCat("line", i));
  log->MarkStart("out.log.starts", 3);
  Write(*log, "third");
  LogReader previous(temp_.path(), {kAllLines, 0, LogRange::Starts::kPrevious});
  EXPECT_TRUE(previous.found_previous());
  EXPECT_THAT(Read(previous), ElementsAre("line0", "line1", "line2", "line3"));
  LogReader tail(temp_.path(), {2, 0, LogRange::Starts::kPrevious});
  EXPECT_THAT(Read(tail), ElementsAre("line2", "line3"));
  // Also by a shim that opens the log anew.
  const auto next = MakeLog(kLineBytes * 3);
  next->MarkStart("out.log.starts", 4);
  Write(*next, "fourth");
  LogReader third(temp_.path(), {kAllLines, 0, LogRange::Starts::kPrevious});
  EXPECT_THAT(Read(third), ElementsAre("third"));
  LogReader last(temp_.path(), {kAllLines, 0, LogRange::Starts::kLast});
  EXPECT_THAT(Read(last), ElementsAre("fourth"));
}

TEST_F(LogRotationTest, FilesThatAreKeptCanBeReadWhenTheyAreGone) {
  const auto log = MakeLog(kLineBytes * 2);
  Write(*log, "line0");
  LogReader reader(temp_.path(), kAllLines);
  for (int i = 1; i < 5; ++i) Write(*log, absl::StrCat("line", i));
  reader.KeepFiles();
  for (const char* file : {"out.log", "out.log.1", "out.log.2"}) ASSERT_EQ(unlink(file), 0);
  EXPECT_THAT(Read(reader), ElementsAre("line0", "line1", "line2", "line3", "line4"));
}

}  // namespace
}  // namespace pando::agent
