#include "controller/core/strategy.h"

#include <gmock/gmock.h>

#include <string>

namespace pando::controller {
namespace {

TEST(StrategyTest, LimitsAreCountsOrSharesAndNeverBothZero) {
  struct Case {
    std::string name;
    Amount surge, unavailable;
    uint32_t replicas;
    RolloutLimits want;
  };
  const Case cases[] = {
      {"a share of surge is rounded up", {25, true}, {0, false}, 5, {2, 0}},
      {"at least one", {25, true}, {0, false}, 1, {1, 0}},
      {"also of no replicas", {25, true}, {0, false}, 0, {1, 0}},
      {"many", {25, true}, {0, false}, 10'000, {2'500, 0}},
      {"counts", {3, false}, {2, false}, 10, {3, 2}},
      {"a share of unavailable is rounded down", {1, false}, {30, true}, 5, {1, 1}},
      {"to nothing, when surge goes on", {1, false}, {10, true}, 5, {1, 0}},
      {"but one, when nothing else does", {0, false}, {10, true}, 5, {0, 1}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    Strategy strategy;
    strategy.max_surge = c.surge;
    strategy.max_unavailable = c.unavailable;
    EXPECT_EQ(LimitsOf(strategy, c.replicas), c.want);
  }
}

TEST(StrategyTest, WithoutObservationThereAreNoSteps) {
  EXPECT_TRUE(StepsOf(Strategy{}, 8).empty());
}

TEST(StrategyTest, TheFirstNewInstancesAreObserved) {
  Strategy strategy;
  strategy.observe = Millis{2'000};
  EXPECT_THAT(StepsOf(strategy, 8),
              testing::ElementsAre(RolloutStep{.slots = 2, .dwell = Millis{2'000}}));
  EXPECT_TRUE(StepsOf(strategy, 0).empty());
  strategy.max_surge = {0, false};
  strategy.max_unavailable = {1, false};
  EXPECT_TRUE(StepsOf(strategy, 8).empty()) << "there is no room beside the old ones";
}

TEST(StrategyTest, ACanaryGetsInstancesByItsShareOfTheRequests) {
  Strategy strategy;
  strategy.canary_steps = {5, 25, 50};
  strategy.canary_interval = Millis{60'000};
  const std::vector<RolloutStep> steps = StepsOf(strategy, 8);
  ASSERT_EQ(steps.size(), 3u);
  EXPECT_EQ(steps[0],
            (RolloutStep{.slots = 1, .traffic = 5, .dwell = Millis{60'000}, .manual = false}));
  EXPECT_EQ(steps[1].slots, 2u);
  EXPECT_EQ(steps[2].slots, 4u);
}

TEST(StrategyTest, BlueGreenStartsAllBeforeItSwitches) {
  Strategy strategy;
  strategy.blue_green = true;
  strategy.observe = Millis{2'000};
  EXPECT_THAT(
      StepsOf(strategy, 3),
      testing::ElementsAre(RolloutStep{.slots = 3, .traffic = 0},
                           RolloutStep{.slots = 3, .traffic = 100, .dwell = Millis{2'000}}));
  EXPECT_EQ(LimitsOf(strategy, 3).surge, 3u);
}

}  // namespace
}  // namespace pando::controller
