#include "controller/core/rollout.h"

#include <gmock/gmock.h>

namespace pando::controller {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

constexpr Instant kStart{std::chrono::hours{1}};

Strategy Canary() {
  Strategy strategy;
  strategy.canary_steps = {10, 50};
  strategy.canary_interval = Millis{60'000};
  return strategy;
}

class RolloutTest : public testing::Test {
 protected:
  RolloutMove Judge(uint32_t proven, Instant now, bool older_left = true) {
    view_.proven = proven;
    view_.older_left = older_left;
    verdict_ = JudgeRollout(strategy_, rollout_, view_, now, clock_);
    return verdict_.move;
  }

  Strategy strategy_;
  Rollout rollout_{.from = 1, .done = false, .step = 0};
  RolloutView view_{.replicas = 4};
  RolloutClock clock_;
  RolloutVerdict verdict_;
};

TEST_F(RolloutTest, IsCompleteWhenAllAreProvenAndNoOlderOneIsLeft) {
  EXPECT_EQ(Judge(3, kStart), RolloutMove::kWait);
  EXPECT_EQ(Judge(4, kStart), RolloutMove::kWait);
  EXPECT_EQ(Judge(4, kStart, /*older_left=*/false), RolloutMove::kComplete);
  rollout_.done = true;
  EXPECT_EQ(Judge(4, kStart, false), RolloutMove::kWait);
}

TEST_F(RolloutTest, FailsWhenNothingMovesUntilTheDeadline) {
  EXPECT_EQ(Judge(0, kStart), RolloutMove::kWait);
  EXPECT_EQ(*verdict_.look_again, kStart + seconds{600});
  EXPECT_EQ(Judge(1, kStart + seconds{599}), RolloutMove::kWait);
  EXPECT_EQ(Judge(1, kStart + seconds{1'198}), RolloutMove::kWait);
  EXPECT_EQ(Judge(0, kStart + seconds{1'199}), RolloutMove::kFail) << "back is no progress";
  EXPECT_EQ(verdict_.reason, "no progress within 600 s: 0 of 4 new instances are in rotation");
}

TEST_F(RolloutTest, AStepTakesItsTimeFromWhenItsInstancesAreProven) {
  strategy_ = Canary();
  EXPECT_EQ(Judge(0, kStart), RolloutMove::kWait);
  EXPECT_EQ(Judge(1, kStart + seconds{500}), RolloutMove::kWait);
  EXPECT_EQ(*verdict_.look_again, kStart + seconds{560});
  EXPECT_EQ(Judge(1, kStart + seconds{560}), RolloutMove::kNextStep);
}

TEST_F(RolloutTest, AStepThatLosesItsInstanceBeginsAnew) {
  strategy_ = Canary();
  EXPECT_EQ(Judge(1, kStart), RolloutMove::kWait);
  EXPECT_EQ(Judge(0, kStart + seconds{30}), RolloutMove::kWait);
  EXPECT_EQ(Judge(1, kStart + seconds{70}), RolloutMove::kWait);
  EXPECT_EQ(*verdict_.look_again, kStart + seconds{130});
}

TEST_F(RolloutTest, AManualGateWaitsForEver) {
  strategy_ = Canary();
  strategy_.manual_gate = true;
  EXPECT_EQ(Judge(1, kStart), RolloutMove::kWait);
  EXPECT_EQ(Judge(1, kStart + std::chrono::hours{24}), RolloutMove::kWait);
  EXPECT_EQ(verdict_.look_again, std::nullopt);
}

TEST_F(RolloutTest, NoTimePassesWhilePausedOrSuspended) {
  for (bool* flag : {&rollout_.paused, &view_.suspended}) {
    clock_ = {};
    *flag = true;
    EXPECT_EQ(Judge(0, kStart), RolloutMove::kWait);
    EXPECT_EQ(Judge(0, kStart + std::chrono::hours{1}), RolloutMove::kWait);
    *flag = false;
    EXPECT_EQ(Judge(0, kStart + std::chrono::hours{1}), RolloutMove::kWait);
    EXPECT_EQ(Judge(0, kStart + std::chrono::hours{1} + seconds{599}), RolloutMove::kWait);
    EXPECT_EQ(Judge(0, kStart + std::chrono::hours{1} + seconds{600}), RolloutMove::kFail);
  }
}

TEST_F(RolloutTest, TimeWaitedOnPurposeIsNoLackOfProgress) {
  strategy_ = Canary();
  strategy_.manual_gate = true;
  EXPECT_EQ(Judge(1, kStart), RolloutMove::kWait);
  const Instant later = kStart + std::chrono::hours{24};
  EXPECT_EQ(Judge(0, later), RolloutMove::kWait) << "nobody looked since";
  EXPECT_EQ(*verdict_.look_again, later + seconds{600});
  rollout_.paused = true;
  EXPECT_EQ(Judge(0, later + seconds{500}), RolloutMove::kWait);
  rollout_.paused = false;
  EXPECT_EQ(Judge(0, later + seconds{5'000}), RolloutMove::kWait);
  EXPECT_EQ(*verdict_.look_again, later + seconds{5'600});
}

TEST_F(RolloutTest, AStepCountsFromWhenItIsWatched) {
  strategy_ = Canary();
  view_.blind = "no word on requests from edge-1";
  EXPECT_EQ(Judge(1, kStart), RolloutMove::kWait);
  EXPECT_EQ(*verdict_.look_again, kStart + seconds{600});
  EXPECT_EQ(Judge(1, kStart + seconds{100}), RolloutMove::kWait);
  view_.blind.clear();
  EXPECT_EQ(Judge(1, kStart + seconds{500}), RolloutMove::kWait);
  EXPECT_EQ(*verdict_.look_again, kStart + seconds{560});
  view_.blind = "no word on requests from edge-1";
  EXPECT_EQ(Judge(1, kStart + seconds{540}), RolloutMove::kWait) << "it begins anew";
  EXPECT_EQ(Judge(1, kStart + seconds{1'139}), RolloutMove::kWait);
  EXPECT_EQ(Judge(1, kStart + seconds{1'140}), RolloutMove::kFail);
  EXPECT_EQ(verdict_.reason, "no progress within 600 s: no word on requests from edge-1");
}

TEST_F(RolloutTest, CrashesAndEvidenceEndIt) {
  view_.evidence = "errors 50%";
  EXPECT_EQ(Judge(1, kStart), RolloutMove::kFail);
  EXPECT_EQ(verdict_.reason, "errors 50%");
  view_.crash = "web.1: exited with code 1";
  EXPECT_EQ(Judge(1, kStart), RolloutMove::kFail);
  EXPECT_THAT(verdict_.reason, HasSubstr("exited"));
}

TEST_F(RolloutTest, ThePresentStepEndsWithTheLast) {
  strategy_ = Canary();
  EXPECT_EQ(CurrentStep(strategy_, rollout_, 10)->slots, 1u);
  rollout_.step = 1;
  EXPECT_EQ(CurrentStep(strategy_, rollout_, 10)->slots, 5u);
  rollout_.step = 2;
  EXPECT_EQ(CurrentStep(strategy_, rollout_, 10), std::nullopt);
  rollout_.step = kAllSteps;
  EXPECT_EQ(CurrentStep(strategy_, rollout_, 10), std::nullopt);
}

}  // namespace
}  // namespace pando::controller
