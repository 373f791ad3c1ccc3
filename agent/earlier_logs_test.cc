#include "agent/earlier_logs.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "agent/testing/test_harness.h"

namespace pando::agent {
namespace {

using testing::ElementsAre;

class EarlierLogsTest : public testing::Test {
 protected:
  static Assignment Slot(uint32_t slot) {
    Assignment assignment;
    assignment.app = {"web"};
    assignment.slot = slot;
    return assignment;
  }
  static std::string Line(const std::string& text) {
    return absl::StrCat("2026-11-23T12:04:05.123Z o ", text, "\n");
  }
  // A directory of an instance with these lines, each of a start of its own.
  std::string Instance(const std::string& id, const std::vector<std::string>& texts) {
    const std::string dir = absl::StrCat(temp_.path(), "/", id);
    std::filesystem::create_directories(dir);
    std::string log, starts;
    for (size_t i = 0; i < texts.size(); ++i) {
      const std::string start = absl::StrCat(i + 1, " ", log.size(), "\n");
      starts = i == 0 ? start : starts.substr(starts.rfind('\n', starts.size() - 2) + 1) + start;
      log += Line(texts[i]);
    }
    EXPECT_TRUE(WriteFileAtomically(dir + "/out.log", log).ok());
    EXPECT_TRUE(WriteFileAtomically(dir + "/out.log.starts", starts).ok());
    return dir;
  }
  // That its last start was so long after that of the others.
  static void SetStarted(const std::string& dir, int64_t unix_ms) {
    ASSERT_TRUE(WriteFileAtomically(dir + "/run", absl::StrCat("boot_id=x\nincarnation=1\nport=1\n",
                                                               "started_unix_ms=", unix_ms, "\n"))
                    .ok());
  }
  static std::vector<std::string> Read(std::optional<LogReader> reader) {
    if (!reader) return {"none"};
    std::vector<std::string> texts;
    for (const LogLine& line : reader->Read(100, 1 << 20)) texts.push_back(line.text);
    return texts;
  }
  std::vector<std::string> Previous(const std::string& dir, uint32_t slot = 1) {
    return Read(OpenPreviousRun(dir, logs_.PathOf(Slot(slot)), kAllLines, 0));
  }

  TempDir temp_;
  EarlierLogs logs_{temp_.path() + "/earlier"};
};

TEST_F(EarlierLogsTest, TheLastRunOfTheAssignmentBeforeIsThePreviousOne) {
  const std::string now = Instance("b", {"now"});
  EXPECT_THAT(Previous(now), ElementsAre("none"));
  logs_.Keep(Instance("a", {"first", "second", "third"}), Slot(1));
  EXPECT_THAT(Previous(now), ElementsAre("third"));
  EXPECT_THAT(Previous(now, 2), ElementsAre("none"));
  EXPECT_FALSE(std::filesystem::exists(temp_.path() + "/a/out.log"));
  logs_.Keep(Instance("c", {"fourth"}), Slot(1));
  EXPECT_THAT(Previous(now), ElementsAre("fourth"));
}

TEST_F(EarlierLogsTest, WhatEndedLaterIsThePreviousRun) {
  constexpr int64_t kFarAway = int64_t{1} << 45;
  const std::string now = Instance("b", {"own", "now"});
  logs_.Keep(Instance("a", {"earlier"}), Slot(1));
  SetStarted(now, kFarAway);
  EXPECT_THAT(Previous(now), ElementsAre("own"));
  SetStarted(now, 1);
  EXPECT_THAT(Previous(now), ElementsAre("earlier"));
}

TEST_F(EarlierLogsTest, WhatNeverStartedReplacesNothing) {
  const std::string now = Instance("b", {"now"});
  logs_.Keep(Instance("a", {"earlier"}), Slot(1));
  std::filesystem::create_directories(temp_.path() + "/c");
  logs_.Keep(temp_.path() + "/c", Slot(1));
  EXPECT_THAT(Previous(now), ElementsAre("earlier"));
  Assignment outside = Slot(1);
  outside.app = {"../web"};
  logs_.Keep(now, outside);
  EXPECT_THAT(Read(LogReader(now, kAllLines)), ElementsAre("now"));
}

TEST_F(EarlierLogsTest, TheOldestGoWhenTheyAreTooManyBytes) {
  const std::string text(1'000, 'x');
  const EarlierLogs logs(temp_.path() + "/earlier", 2'500);
  for (uint32_t slot = 1; slot <= 3; ++slot) {
    logs.Keep(Instance("a", {text}), Slot(slot));
    // Each a minute older than the next.
    const timespec time = {1'000'000 + slot * 60, 0};
    const timespec both[] = {time, time};
    if (slot < 3) {
      ASSERT_EQ(utimensat(AT_FDCWD, logs.PathOf(Slot(slot)).c_str(), both, 0), 0);
    }
  }
  EXPECT_FALSE(std::filesystem::exists(logs.PathOf(Slot(1))));
  EXPECT_TRUE(std::filesystem::exists(logs.PathOf(Slot(2))));
  EXPECT_TRUE(std::filesystem::exists(logs.PathOf(Slot(3))));
}

TEST_F(EarlierLogsTest, AReaderIsNotLedIntoTheNextLog) {
  logs_.Keep(Instance("a", {"one", "two"}), Slot(1));
  auto reader = OpenPreviousRun(Instance("b", {"now"}), logs_.PathOf(Slot(1)), kAllLines, 0);
  ASSERT_TRUE(reader.has_value());
  // As long before, and rotated.
  const std::string next = Instance("c", {"three"});
  ASSERT_TRUE(
      WriteFileAtomically(next + "/out.log", "2026-11-23T12:04:05.123Z = 1000\n" + Line("far away"))
          .ok());
  logs_.Keep(next, Slot(1));
  EXPECT_THAT(Read(std::move(reader)), ElementsAre("two"));
}

}  // namespace
}  // namespace pando::agent
