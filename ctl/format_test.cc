#include "ctl/format.h"

#include <gtest/gtest.h>

namespace pando::ctl {
namespace {

TEST(FormatTest, Elapsed) {
  const std::pair<int64_t, const char*> cases[] = {
      {0, "0.00 s"},    {42, "0.04 s"},        {100, "0.1 s"},
      {1'940, "1.9 s"}, {9'949, "9.9 s"},      {9'950, "10 s"},
      {59'400, "59 s"}, {59'600, "1 min 0 s"}, {125'000, "2 min 5 s"}};
  for (const auto& [millis, want] : cases) EXPECT_EQ(FormatElapsed(Millis{millis}), want);
}

TEST(FormatTest, AgesInTheirLargestUnit) {
  const std::pair<int64_t, const char*> cases[] = {
      {-1, "-"},          {0, "0s"},         {59'999, "59s"},    {60'000, "1m"},
      {3'599'999, "59m"}, {3'600'000, "1h"}, {86'400'000, "1d"}, {1'000'000'000, "11d"}};
  for (const auto& [millis, want] : cases) EXPECT_EQ(FormatAge(millis), want);
  EXPECT_EQ(FormatShortAge(420), "0.4s");
  EXPECT_EQ(FormatShortAge(61'000), "1m");
  EXPECT_EQ(FormatShortAge(-1), "-");
}

TEST(FormatTest, Sizes) {
  EXPECT_EQ(FormatBytes(0), "0");
  EXPECT_EQ(FormatBytes(512ull << 20), "512M");
  EXPECT_EQ(FormatBytes(3ull << 29), "1.5G");
  EXPECT_EQ(FormatBytes(64ull << 30), "64G");
  EXPECT_EQ(FormatCpus(4'000), "4");
  EXPECT_EQ(FormatCpus(500), "0.5");
}

TEST(FormatTest, LatenciesAndRates) {
  const std::pair<double, const char*> latencies[] = {
      {0.00035, "0.35ms"}, {0.0052, "5.2ms"}, {0.012, "12ms"}, {0.9994, "999ms"}, {1.25, "1.25s"}};
  for (const auto& [seconds, want] : latencies) EXPECT_EQ(FormatLatency(seconds), want);
  const std::pair<double, const char*> rates[] = {
      {0, "0"}, {0.254, "0.25"}, {12.34, "12.3"}, {99.96, "100"}, {4321.4, "4321"}};
  for (const auto& [rate, want] : rates) EXPECT_EQ(FormatRate(rate), want);
}

TEST(FormatTest, Times) {
  EXPECT_EQ(FormatClock(36'131'204, absl::UTCTimeZone()), "10:02:11.204");
  EXPECT_EQ(FormatDateTime(36'131'204, absl::UTCTimeZone()), "1970-01-01 10:02:11.204");
}

TEST(FormatTest, ParsesDurations) {
  const std::pair<const char*, int64_t> good[] = {{"500ms", 500},  {"30s", 30'000},
                                                  {"5m", 300'000}, {"1h30m", 5'400'000},
                                                  {"10", 10'000},  {"0.5", 500}};
  for (const auto& [text, millis] : good) {
    const auto parsed = ParseDuration(text);
    ASSERT_TRUE(parsed.ok()) << text;
    EXPECT_EQ(parsed->count(), millis) << text;
  }
  for (const char* bad : {"", "0", "-1s", "five", "5 m", "inf", "10x", "1h-30m"}) {
    EXPECT_FALSE(ParseDuration(bad).ok()) << bad;
  }
  EXPECT_EQ(ParseDuration("soon").status().message(),
            "\"soon\" is not a duration like 30s, 5m or 1h30m");
}

}  // namespace
}  // namespace pando::ctl
