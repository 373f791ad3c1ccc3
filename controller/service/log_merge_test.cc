#include "controller/service/log_merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pando::controller {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr Instant kStart{};

std::vector<v1::LogEntry> Lines(std::initializer_list<int64_t> times) {
  std::vector<v1::LogEntry> entries;
  for (const int64_t time : times) {
    entries.emplace_back().set_time_unix_ms(time);
    entries.back().set_text("x");
  }
  return entries;
}

std::vector<int64_t> TakeAll(LogMerge& merge, Instant now) {
  std::vector<int64_t> times;
  while (const auto entry = merge.Next(now)) times.push_back(entry->time_unix_ms());
  return times;
}

TEST(LogMergeTest, StoredLinesComeInTheOrderOfTheirTimes) {
  LogMerge merge(LogMerge::kAllLines, true);
  for (const char* log : {"a", "b", "c"}) merge.Open(log);
  merge.Push("a", Lines({1, 4, 9}), kStart);
  merge.Push("b", Lines({2, 3}), kStart);
  // c may still have an older one.
  EXPECT_THAT(TakeAll(merge, kStart), IsEmpty());
  merge.Push("c", Lines({5}), kStart);
  EXPECT_THAT(TakeAll(merge, kStart), ElementsAre(1, 2, 3));
  merge.SetCaughtUp("b");
  EXPECT_THAT(TakeAll(merge, kStart), ElementsAre(4, 5));
  merge.End("c");
  EXPECT_THAT(TakeAll(merge, kStart), ElementsAre(9));
}

TEST(LogMergeTest, TheTailIsOfAllLogsTogether) {
  struct Case {
    uint32_t tail;
    std::vector<int64_t> want;
  };
  const Case cases[] = {
      {0, {}}, {1, {9}}, {3, {4, 5, 9}}, {5, {2, 3, 4, 5, 9}}, {99, {1, 2, 3, 4, 5, 9}}};
  for (const Case& c : cases) {
    LogMerge merge(c.tail, false);
    merge.Open("a");
    merge.Open("b");
    merge.Push("a", Lines({1, 4, 9}), kStart);
    merge.Push("b", Lines({2, 3, 5}), kStart);
    merge.End("a");
    merge.End("b");
    EXPECT_EQ(TakeAll(merge, kStart), c.want) << c.tail;
    EXPECT_EQ(merge.TakeSkipped(), 0u);
  }
}

TEST(LogMergeTest, WhatIsNewIsNotDroppedForATail) {
  struct Case {
    uint32_t tail;
    std::vector<int64_t> want;
  };
  // Of each log, so many lines were there when it was opened.
  const Case cases[] = {{0, {1, 2, 3, 4, 5}}, {1, {2, 3, 4, 5}}, {2, {3, 4, 5}}};
  for (const Case& c : cases) {
    LogMerge merge(c.tail, true);
    merge.Open("a");
    merge.Open("b");
    merge.Push("a", Lines({1, 3, 5}), kStart);
    merge.Push("b", Lines({2, 4}), kStart);
    EXPECT_EQ(TakeAll(merge, kStart + LogMerge::kWindow), c.want) << c.tail;
  }
}

TEST(LogMergeTest, ATailIsToldThoughALogNeverPauses) {
  LogMerge merge(2, true);
  merge.Open("busy");
  merge.Open("quiet");
  merge.SetCaughtUp("quiet");
  merge.Push("busy", Lines({1}), kStart);
  EXPECT_THAT(TakeAll(merge, kStart), IsEmpty());  // there may be a second one
  merge.Push("busy", Lines({2}), kStart);
  EXPECT_THAT(TakeAll(merge, kStart), ElementsAre(1, 2));
  merge.Push("busy", Lines({3}), kStart);
  EXPECT_THAT(TakeAll(merge, kStart + LogMerge::kWindow), ElementsAre(3));
}

TEST(LogMergeTest, NewLinesWaitAShortWhileForOlderOnesOfOthers) {
  LogMerge merge(0, true);
  merge.Open("a");
  merge.Open("b");
  merge.SetCaughtUp("a");
  merge.SetCaughtUp("b");
  EXPECT_THAT(TakeAll(merge, kStart), IsEmpty());
  merge.Push("a", Lines({7}), kStart);
  EXPECT_THAT(TakeAll(merge, kStart), IsEmpty());
  ASSERT_TRUE(merge.NextAt().has_value());
  EXPECT_EQ(*merge.NextAt(), kStart + LogMerge::kWindow);
  merge.Push("b", Lines({6, 8}), kStart + Millis{50});
  EXPECT_THAT(TakeAll(merge, kStart + Millis{50}), ElementsAre(6, 7));
  EXPECT_THAT(TakeAll(merge, kStart + LogMerge::kWindow), IsEmpty());
  EXPECT_THAT(TakeAll(merge, kStart + LogMerge::kWindow + Millis{50}), ElementsAre(8));
}

TEST(LogMergeTest, ASingleLogIsNotHeldUp) {
  LogMerge merge(0, true);
  merge.Open("a");
  merge.SetCaughtUp("a");
  EXPECT_THAT(TakeAll(merge, kStart), IsEmpty());
  merge.Push("a", Lines({7}), kStart);
  EXPECT_THAT(TakeAll(merge, kStart), ElementsAre(7));
}

TEST(LogMergeTest, ALogThatDoesNotAnswerHoldsUpTheStoredOnesForABoundedTime) {
  for (const uint32_t tail : {uint32_t{10}, LogMerge::kAllLines}) {
    LogMerge merge(tail, true);
    merge.Open("silent");
    merge.Open("a");
    merge.Push("a", Lines({1, 2}), kStart);
    merge.SetCaughtUp("a");
    EXPECT_THAT(TakeAll(merge, kStart), IsEmpty());
    ASSERT_TRUE(merge.NextAt().has_value());
    EXPECT_EQ(*merge.NextAt(), kStart + LogMerge::kPatience);
    EXPECT_THAT(TakeAll(merge, kStart + LogMerge::kPatience), ElementsAre(1, 2));
  }
}

TEST(LogMergeTest, OnlyALogWithFewLinesIsAskedForMore) {
  LogMerge merge(LogMerge::kAllLines, true);
  merge.Open("a");
  merge.Push("a", std::vector<v1::LogEntry>(LogMerge::kFewLines + 1), kStart);
  EXPECT_THAT(merge.TakeHungry(), IsEmpty());
  ASSERT_TRUE(merge.Next(kStart).has_value());
  EXPECT_THAT(merge.TakeHungry(), IsEmpty());
  ASSERT_TRUE(merge.Next(kStart).has_value());
  EXPECT_THAT(merge.TakeHungry(), ElementsAre("a"));
  merge.End("a");
  ASSERT_TRUE(merge.Next(kStart).has_value());
  EXPECT_THAT(merge.TakeHungry(), IsEmpty());
}

TEST(LogMergeTest, ATailThatIsTooLargeIsCutAndSaysSo) {
  LogMerge merge(100, false);
  merge.Open("a");
  std::vector<v1::LogEntry> entries(5);
  for (v1::LogEntry& entry : entries) entry.set_text(std::string(LogMerge::kMaxTailBytes / 4, 'x'));
  merge.Push("a", std::move(entries), kStart);
  merge.End("a");
  EXPECT_EQ(TakeAll(merge, kStart).size(), 4u);
  EXPECT_EQ(merge.TakeSkipped(), 1u);
}

TEST(LogMergeTest, ALogMayBeReadAgainAfterItsEnd) {
  LogMerge merge(LogMerge::kAllLines, true);
  merge.Open("a");
  merge.Push("a", Lines({1}), kStart);
  merge.End("a");
  EXPECT_THAT(TakeAll(merge, kStart), ElementsAre(1));
  merge.Open("a");
  merge.Push("a", Lines({2}), kStart);
  EXPECT_THAT(TakeAll(merge, kStart), ElementsAre(2));
}

}  // namespace
}  // namespace pando::controller
