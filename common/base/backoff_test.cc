#include "common/base/backoff.h"

#include <gtest/gtest.h>

namespace pando {
namespace {

constexpr BackoffPolicy kPolicy{.initial = Millis{100}, .ceiling = Millis{30'000}};

TEST(BackoffTest, DoublesUpToTheCeiling) {
  EXPECT_EQ(Backoff(kPolicy, 0, 1.0), Millis{100});
  EXPECT_EQ(Backoff(kPolicy, 1, 1.0), Millis{200});
  EXPECT_EQ(Backoff(kPolicy, 8, 1.0), Millis{25'600});
  EXPECT_EQ(Backoff(kPolicy, 9, 1.0), Millis{30'000});
  EXPECT_EQ(Backoff(kPolicy, 1'000'000, 1.0), Millis{30'000});
}

TEST(BackoffTest, HalfIsFixedAndHalfIsRandom) {
  EXPECT_EQ(Backoff(kPolicy, 0, 0.0), Millis{50});
  EXPECT_EQ(Backoff(kPolicy, 0, 0.5), Millis{75});
  EXPECT_EQ(Backoff(kPolicy, 20, 0.0), Millis{15'000});
}

TEST(BackoffTest, TakesNonsenseAsTheNearestSense) {
  EXPECT_EQ(Backoff(kPolicy, -5, 0.0), Millis{50});
  EXPECT_EQ(Backoff(kPolicy, 0, 7.0), Millis{100});
  EXPECT_EQ(Backoff(kPolicy, 0, -1.0), Millis{50});
}

}  // namespace
}  // namespace pando
