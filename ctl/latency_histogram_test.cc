#include "ctl/latency_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace pando::ctl {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

TEST(LatencyHistogramTest, IsEmptyAtFirst) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.Quantile(0.99), 0ns);
  EXPECT_EQ(histogram.mean(), 0ns);
  EXPECT_EQ(histogram.min(), 0ns);
}

TEST(LatencyHistogramTest, QuantilesAreWithinTwoPercentOfTheTruth) {
  std::mt19937_64 random(7);
  std::vector<int64_t> truth;
  LatencyHistogram histogram;
  for (int i = 0; i < 20'000; ++i) {
    // From 10 us to 10 s, evenly on a logarithmic scale.
    const double exponent = 4 + 6 * static_cast<double>(random() % 100'000) / 100'000;
    const auto nanos = static_cast<int64_t>(std::pow(10.0, exponent));
    truth.push_back(nanos);
    histogram.Record(std::chrono::nanoseconds(nanos));
  }
  std::sort(truth.begin(), truth.end());
  for (const double q : {0.01, 0.5, 0.9, 0.99, 0.999}) {
    const auto want = static_cast<double>(truth[static_cast<size_t>(q * 20'000) - 1]);
    EXPECT_NEAR(static_cast<double>(histogram.Quantile(q).count()), want, want * 0.02 + 1'000) << q;
  }
  EXPECT_EQ(histogram.Quantile(1).count(), truth.back());
  EXPECT_EQ(histogram.max().count(), truth.back());
  EXPECT_EQ(histogram.min().count(), truth.front());
}

TEST(LatencyHistogramTest, NothingIsAboveTheLargestOrBelowZero) {
  LatencyHistogram histogram;
  histogram.Record(-5ms);
  histogram.Record(1500us);
  EXPECT_EQ(histogram.min(), 0ns);
  EXPECT_EQ(histogram.Quantile(0.99), 1500us);
  EXPECT_EQ(histogram.mean(), 750us);
}

TEST(LatencyHistogramTest, CountsAddUpOverIntervals) {
  LatencyHistogram histogram;
  for (int i = 1; i <= 1'000; ++i) histogram.Record(std::chrono::microseconds(i * 10));
  EXPECT_EQ(histogram.CountBetween(-1ns, 1h), 1'000u);
  EXPECT_EQ(histogram.CountBetween(-1ns, 5ms) + histogram.CountBetween(5ms, 1h), 1'000u);
  EXPECT_NEAR(static_cast<double>(histogram.CountBetween(-1ns, 5ms)), 500, 10);
  EXPECT_EQ(histogram.CountBetween(1h, 2h), 0u);
}

}  // namespace
}  // namespace pando::ctl
