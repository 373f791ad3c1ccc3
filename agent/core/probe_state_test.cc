#include "agent/core/probe_state.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace pando::agent {
namespace {

using Change = ProbeState::Change;

class ProbeStateTest : public testing::Test {
 protected:
  ProbeStateTest() {
    policy_.interval = Millis{1'000};
    policy_.healthy_threshold = 2;
    policy_.unhealthy_threshold = 3;
  }
  // Runs the next probe with a result; time goes to when it is due.
  Change Run(ProbeState& state, bool passed, double random = 0.5) {
    now_ = state.due();
    return state.OnResult(passed, now_, random);
  }

  Instant now_{std::chrono::hours{1}};
  ProbePolicy policy_;
};

TEST_F(ProbeStateTest, ChangesAtItsThresholds) {
  ProbeState state = ProbeState::Starting(policy_, now_);
  EXPECT_EQ(Run(state, true), Change::kNone);
  EXPECT_EQ(Run(state, false), Change::kNone);  // the count starts anew
  EXPECT_EQ(Run(state, true), Change::kNone);
  EXPECT_EQ(Run(state, true), Change::kPassed);
  EXPECT_EQ(Run(state, true), Change::kNone);  // told once
  EXPECT_EQ(Run(state, false), Change::kNone);
  EXPECT_EQ(Run(state, false), Change::kNone);
  EXPECT_EQ(Run(state, false), Change::kFailed);
  EXPECT_EQ(Run(state, false), Change::kNone);
  EXPECT_EQ(Run(state, true), Change::kNone);
  EXPECT_EQ(Run(state, true), Change::kPassed);
}

TEST_F(ProbeStateTest, AStartThatTakesItsTimeIsNoFailure) {
  ProbeState state = ProbeState::Starting(policy_, now_);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(Run(state, false), Change::kNone);
}

TEST_F(ProbeStateTest, LooksEvery50MsAtFirstAndAtTheIntervalInTheEnd) {
  const Instant start = now_;
  ProbeState state = ProbeState::Starting(policy_, now_);
  Instant last = now_;
  while (now_ - start < Millis{5'000}) {
    Run(state, false);
    EXPECT_LE(now_ - last, Millis{50});
    last = now_;
  }
  for (int i = 0; i < 20; ++i) Run(state, false);
  last = now_;
  Run(state, false);
  EXPECT_EQ(now_ - last, Millis{1'000});
}

TEST_F(ProbeStateTest, SpreadsProbesByATenthOfTheInterval) {
  ProbeState state = ProbeState::Steady(policy_, now_, 0.3);
  EXPECT_EQ(state.due() - now_, Millis{300});
  Run(state, true, 0.0);
  EXPECT_EQ(state.due() - now_, Millis{900});
  Run(state, true, 1.0);
  EXPECT_EQ(state.due() - now_, Millis{1'100});
}

TEST_F(ProbeStateTest, WhatStartedTogetherIsProbedApart) {
  policy_.healthy_threshold = 1;
  ProbeState first = ProbeState::Starting(policy_, now_);
  ProbeState second = first;
  now_ += Millis{50};
  first.OnResult(true, now_, 0.1);
  second.OnResult(true, now_, 0.7);
  EXPECT_EQ(first.due() - now_, Millis{100});
  EXPECT_EQ(second.due() - now_, Millis{700});
}

TEST_F(ProbeStateTest, ProbesOfManyInstancesShareAFewPointsInTime) {
  std::map<Instant, int> points;
  int most = 0;
  for (int i = 0; i < 1'000; ++i) {
    const Instant due = ProbeState::Steady(policy_, now_ + Millis{i % 7}, i / 1'000.0).due();
    EXPECT_EQ(due.time_since_epoch() % Millis{50}, Millis{0});
    most = std::max(most, ++points[due]);
  }
  EXPECT_NEAR(static_cast<double>(points.size()), 20.0, 2.0);
  EXPECT_LE(most, 70);  // spread, all the same
}

TEST_F(ProbeStateTest, FailuresOfWhatRunsCountFromTheFirst) {
  ProbeState state = ProbeState::Steady(policy_, now_, 0.5);
  EXPECT_EQ(Run(state, false), Change::kNone);
  EXPECT_EQ(Run(state, false), Change::kNone);
  EXPECT_EQ(Run(state, false), Change::kFailed);
}

}  // namespace
}  // namespace pando::agent
