#include "agent/core/probe_schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

namespace pando::agent {
namespace {

using Change = ProbeState::Change;

class ProbeScheduleTest : public testing::Test {
 protected:
  ProbeScheduleTest() {
    assignment_.probe.interval = Millis{1'000};
    assignment_.probe.unhealthy_threshold = 2;
  }
  void AddStartup() { assignment_.startup_probe.emplace(); }
  void AddLiveness(Millis interval = Millis{5'000}) {
    assignment_.liveness_probe.emplace();
    assignment_.liveness_probe->interval = interval;
    assignment_.liveness_probe->unhealthy_threshold = 3;
  }
  void Begin(bool was_ready = false) { schedule_.emplace(assignment_, was_ready, now_, 0.5); }
  // Runs the probe that is due; time goes to it.
  ProbeSchedule::Outcome Run(bool passed) {
    now_ = *schedule_->due();
    const ProbeRole sent = schedule_->Sent();
    const ProbeSchedule::Outcome outcome = schedule_->OnResult(passed, now_, 0.5);
    EXPECT_EQ(outcome.role, sent);
    return outcome;
  }
  // How often each role is probed within a time, all of them with success.
  std::map<ProbeRole, int> Count(Millis within) {
    std::map<ProbeRole, int> counts;
    const Instant end = now_ + within;
    while (*schedule_->due() < end) ++counts[Run(true).role];
    return counts;
  }

  Instant now_{std::chrono::hours{1}};
  Assignment assignment_;
  std::optional<ProbeSchedule> schedule_;
};

TEST_F(ProbeScheduleTest, OneProbeIsUnderWayAtATime) {
  AddLiveness();
  Begin(/*was_ready=*/true);
  ASSERT_TRUE(schedule_->due().has_value());
  schedule_->Sent();
  EXPECT_FALSE(schedule_->due().has_value());
  schedule_->OnResult(true, now_, 0.5);
  EXPECT_TRUE(schedule_->due().has_value());
}

TEST_F(ProbeScheduleTest, TheOthersWaitForTheStartupProbe) {
  AddStartup();
  AddLiveness();
  Begin();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Run(false).role, ProbeRole::kStartup);
  EXPECT_EQ(Run(true).role, ProbeRole::kStartup);
  // Soon, for it is about to be ready.
  EXPECT_LE(*schedule_->due() - now_, Millis{50});
  EXPECT_EQ(Run(true).role, ProbeRole::kReadiness);
  const auto counts = Count(Millis{20'000});
  EXPECT_FALSE(counts.contains(ProbeRole::kStartup));
  EXPECT_NEAR(counts.at(ProbeRole::kReadiness), 20, 1);
  EXPECT_NEAR(counts.at(ProbeRole::kLiveness), 4, 1);
}

TEST_F(ProbeScheduleTest, WithoutAStartupProbeLivenessBeginsWhenItWasReady) {
  AddLiveness(Millis{10});
  Begin();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(Run(false).role, ProbeRole::kReadiness);
  EXPECT_EQ(Run(true).change, Change::kPassed);
  EXPECT_EQ(Run(true).role, ProbeRole::kLiveness);
}

TEST_F(ProbeScheduleTest, WithAStartupProbeLivenessDoesNotWaitForReadiness) {
  AddStartup();
  AddLiveness(Millis{10});
  Begin();
  Run(true);
  EXPECT_EQ(Run(false).role, ProbeRole::kLiveness);
}

TEST_F(ProbeScheduleTest, WhatIsTakenOverHasStarted) {
  AddStartup();
  AddLiveness();
  Begin(/*was_ready=*/true);
  const auto counts = Count(Millis{10'000});
  EXPECT_FALSE(counts.contains(ProbeRole::kStartup));
  EXPECT_TRUE(counts.contains(ProbeRole::kLiveness));
}

TEST_F(ProbeScheduleTest, EachRoleHasItsOwnThreshold) {
  AddLiveness(Millis{1'000});
  Begin(/*was_ready=*/true);
  std::map<ProbeRole, int> failures;
  std::map<ProbeRole, int> told_after;
  for (int i = 0; i < 10; ++i) {
    const ProbeSchedule::Outcome outcome = Run(false);
    ++failures[outcome.role];
    if (outcome.change == Change::kFailed) told_after[outcome.role] = failures[outcome.role];
  }
  EXPECT_THAT(told_after, testing::ElementsAre(testing::Pair(ProbeRole::kReadiness, 2),
                                               testing::Pair(ProbeRole::kLiveness, 3)));
}

TEST_F(ProbeScheduleTest, ASlowProbeDoesNotStarveTheOther) {
  AddLiveness(Millis{1'000});
  Begin(/*was_ready=*/true);
  std::map<ProbeRole, int> counts;
  for (int i = 0; i < 20; ++i) {
    now_ = std::max(now_, *schedule_->due());
    ++counts[schedule_->Sent()];
    now_ += Millis{3'000};  // far longer than the interval
    schedule_->OnResult(false, now_, 0.5);
  }
  EXPECT_EQ(counts[ProbeRole::kReadiness], 10);
  EXPECT_EQ(counts[ProbeRole::kLiveness], 10);
}

TEST_F(ProbeScheduleTest, AResultNobodyWaitsForChangesNothing) {
  Begin();
  const auto due = schedule_->due();
  EXPECT_EQ(schedule_->OnResult(false, now_, 0.5).change, Change::kNone);
  EXPECT_EQ(schedule_->due(), due);
}

}  // namespace
}  // namespace pando::agent
