#include "proxy/core/idle_limit.h"

#include <gtest/gtest.h>

namespace pando::proxy {
namespace {

TEST(IdleLimitTest, OneCloseSaysNothingTwoAlikeSayTheLimit) {
  IdleLimit limit;
  limit.OnClosedByApp(Millis{5'010});
  EXPECT_EQ(limit.limit(), std::nullopt);
  limit.OnClosedByApp(Millis{5'004});
  EXPECT_EQ(limit.limit(), Millis{5'004});
  limit.OnClosedByApp(Millis{5'001});
  EXPECT_EQ(limit.limit(), Millis{5'001}) << "the shortest counts";
}

TEST(IdleLimitTest, ClosesAtAnyTimeAreNoLimit) {
  IdleLimit limit;
  for (const int millis : {900, 4'000, 1'500, 9'000, 600}) limit.OnClosedByApp(Millis{millis});
  EXPECT_EQ(limit.limit(), std::nullopt);
  for (int i = 0; i < 5; ++i) limit.OnClosedByApp(Millis{20});  // right after an answer
  EXPECT_EQ(limit.limit(), std::nullopt);
}

TEST(IdleLimitTest, KeepsAWhileLessThanTheLimit) {
  EXPECT_EQ(IdleLimit::KeepFor(Millis{5'000}), Millis{4'000});
  EXPECT_EQ(IdleLimit::KeepFor(Millis{1'000}), Millis{500});
}

TEST(IdleLimitTest, IsForgottenWithTheProcess) {
  IdleLimit limit;
  limit.OnClosedByApp(Millis{2'000});
  limit.OnClosedByApp(Millis{2'000});
  limit.Forget();
  EXPECT_EQ(limit.limit(), std::nullopt);
}

}  // namespace
}  // namespace pando::proxy
