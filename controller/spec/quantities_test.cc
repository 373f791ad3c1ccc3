#include "controller/spec/quantities.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace pando::controller {
namespace {

struct Case {
  std::string text;
  std::optional<uint64_t> want;
};

TEST(QuantitiesTest, ParsesDurations) {
  const Case cases[] = {
      {"500ms", 500},
      {"1s", 1'000},
      {"2m", 120'000},
      {"1h", 3'600'000},
      {"1.5s", 1'500},
      {"0s", 0},
      {"0.001s", 1},
      {"0.0001s", std::nullopt},
      {"1", {}},
      {"", {}},
      {"s", {}},
      {"1x", {}},
      {"-1s", {}},
      {"1 s", {}},
      {"1S", {}},
      {".5s", {}},
      {"5.s", {}},
      {"1.2.3s", {}},
      {"1s1s", {}},
      {"1e3s", {}},
      {"+1s", {}},
      {"9999999999999s", {}},
      {"1.0000000000s", {}},
      {"999999999999h", 999999999999u * 3'600'000u},
  };
  for (const Case& c : cases) EXPECT_EQ(ParseDuration(c.text), c.want) << c.text;
}

TEST(QuantitiesTest, ParsesSizes) {
  const Case cases[] = {
      {"512Mi", 512ull << 20},
      {"512MiB", 512ull << 20},
      {"1G", 1'000'000'000},
      {"1GB", 1'000'000'000},
      {"1.5Gi", 3ull << 29},
      {"4Ki", 4'096},
      {"2K", 2'000},
      {"1T", 1'000'000'000'000},
      {"1Ti", 1ull << 40},
      {"7B", 7},
      {"7", {}},
      {"1.5B", {}},
      {"1g", {}},
      {"1Gib", {}},
      {"Mi", {}},
  };
  for (const Case& c : cases) EXPECT_EQ(ParseSize(c.text), c.want) << c.text;
}

TEST(QuantitiesTest, ParsesShares) {
  const Case cases[] = {
      {"500m", 500},  {"0.5", 500}, {"2", 2'000}, {"1.25", 1'250},
      {"0.0005", {}}, {"half", {}}, {"0.5m", {}},
  };
  for (const Case& c : cases) EXPECT_EQ(ParseCpu(c.text), c.want) << c.text;
}

TEST(QuantitiesTest, WritesTheLargestExactUnit) {
  EXPECT_EQ(FormatDuration(0), "0s");
  EXPECT_EQ(FormatDuration(500), "500ms");
  EXPECT_EQ(FormatDuration(30'000), "30s");
  EXPECT_EQ(FormatDuration(90'000), "90s");
  EXPECT_EQ(FormatDuration(120'000), "2m");
  EXPECT_EQ(FormatDuration(86'400'000), "24h");
  EXPECT_EQ(FormatSize(512ull << 20), "512Mi");
  EXPECT_EQ(FormatSize(1'000'000'000), "1G");
  EXPECT_EQ(FormatSize(1'234'567), "1234567B");
  EXPECT_EQ(FormatCpu(500), "500m");
  EXPECT_EQ(FormatCpu(2'000), "2");
}

TEST(QuantitiesTest, WhatIsWrittenReadsBack) {
  for (const uint64_t value : {1ull, 999ull, 1'000ull, 61'000ull, 3'600'000ull, 5'000'001ull}) {
    EXPECT_EQ(ParseDuration(FormatDuration(value)), value);
    EXPECT_EQ(ParseSize(FormatSize(value)), value);
    EXPECT_EQ(ParseCpu(FormatCpu(value)), value);
  }
}

}  // namespace
}  // namespace pando::controller
