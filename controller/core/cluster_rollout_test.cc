#include <gmock/gmock.h>

#include "controller/core/cluster_harness.h"

namespace pando::controller {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

TEST(ClusterRolloutTest, AFreshAppIsSpreadAndSettlesWhenProxiesKnow) {
  ClusterHarness h;
  ASSERT_TRUE(h.Connect("n1").ok());
  ASSERT_TRUE(h.Connect("n2").ok());
  h.ConnectProxy("p");
  ASSERT_TRUE(h.Apply("v1", 8).ok());
  EXPECT_EQ(h.PerNode(), (std::map<std::string, int>{{"n1", 4}, {"n2", 4}}));
  EXPECT_EQ(h.Shown(), "");  // known, and empty
  for (uint32_t slot = 1; slot <= 8; ++slot) h.Say(h.Of(slot).at(0).id, Phase::kReady);
  EXPECT_EQ(h.Status().ready, 8u);
  EXPECT_EQ(h.Status().available, 0u);
  EXPECT_FALSE(h.Status().settled);
  h.Ack("p");
  EXPECT_EQ(h.Status().available, 8u);
  EXPECT_TRUE(h.Status().settled);
  EXPECT_EQ(h.Count("in-rotation"), 8u);
  EXPECT_EQ(h.State(h.Of(1).at(0).id), "in-rotation");
}

TEST(ClusterRolloutTest, WithoutProxiesReadyIsEnough) {
  ClusterHarness h;
  ASSERT_TRUE(h.Connect("n1").ok());
  ASSERT_TRUE(h.Apply("v1", 1).ok());
  EXPECT_FALSE(h.Status().settled);
  h.Say(h.Of(1).at(0).id, Phase::kReady);
  EXPECT_TRUE(h.Status().settled);
}

TEST(ClusterRolloutTest, OldInstancesServeUntilNewOnesAreAcknowledged) {
  ClusterHarness h;
  ASSERT_TRUE(h.Connect("n1").ok());
  ASSERT_TRUE(h.Connect("n2").ok());
  h.ConnectProxy("p");
  ASSERT_TRUE(h.Apply("v1", 4).ok());
  h.Settle();
  ASSERT_TRUE(h.Apply("v2", 4).ok());
  EXPECT_EQ(h.Of(1).size(), 2u);
  EXPECT_EQ(h.Of(2).size(), 1u);  // one at a time
  const AssignmentId old_id = h.Of(1).at(0).id, new_id = h.Of(1).at(1).id;

  h.Say(new_id, Phase::kReady);
  EXPECT_EQ(h.Of(1).at(0).wish, Wish::kRun);  // not acknowledged yet
  h.Ack("p");
  EXPECT_EQ(h.Of(1).at(0).wish, Wish::kDrain);
  EXPECT_EQ(h.Of(2).size(), 2u);  // the next one starts
  EXPECT_THAT(h.Shown(), HasSubstr("web.1:draining"));
  h.InFlight("p", old_id, 0, true);
  EXPECT_TRUE(h.Ordered(old_id));  // told, but its table may still have it
  h.Ack("p");
  EXPECT_FALSE(h.Ordered(old_id));
  EXPECT_EQ(h.State(old_id), "stopping");
  h.Gone(old_id);
  EXPECT_EQ(h.Of(1).size(), 1u);

  for (int i = 0; i < 20; ++i) {
    h.Round();
    EXPECT_GE(h.Status().available + h.Status().outdated, 4u);
  }
  EXPECT_TRUE(h.Status().settled);
  EXPECT_EQ(h.Status().rollout, RolloutPhase::kComplete);
  EXPECT_EQ(h.PerNode(), (std::map<std::string, int>{{"n1", 2}, {"n2", 2}}));
}

TEST(ClusterRolloutTest, FailingReleaseStopsAtTheSurgeAndSaysWhy) {
  ClusterHarness h;
  ASSERT_TRUE(h.Connect("n1").ok());
  ASSERT_TRUE(h.Apply("v1", 3).ok());
  h.Settle();
  RevisionConfig bad = ClusterHarness::Config("v2");
  bad.strategy.auto_rollback = false;
  ASSERT_TRUE(h.Apply({{kWeb, bad, 3}}).ok());
  InstanceReport report = h.Report(h.Of(1).at(1).id, Phase::kBackoff);
  report.detail = "exited with code 1";
  report.failed_starts = 2;
  h.Say(report);
  EXPECT_EQ(h.Status().rollout, RolloutPhase::kProgressing);
  report.failed_starts = 3;
  h.Say(report);
  EXPECT_EQ(h.Status().rollout, RolloutPhase::kFailed);
  EXPECT_EQ(h.Status().failure, "web.1 on n1: exited with code 1 (3 failed starts)");
  EXPECT_FALSE(h.Status().settled);
  h.Settle();
  EXPECT_EQ(h.Of(2).size(), 1u);
  EXPECT_EQ(h.Shown(), "web.1:healthy web.2:healthy web.3:healthy");

  // What never served is replaced at once by the repaired release.
  ASSERT_TRUE(h.Apply("v3", 3).ok());
  EXPECT_EQ(h.Of(1).at(1).wish, Wish::kStop);
  h.Settle();
  EXPECT_TRUE(h.Status().settled);
  EXPECT_EQ(h.Of(3).at(0).revision, 3u);
}

TEST(ClusterRolloutTest, AFailingReleaseIsRolledBackByItselfAndNotTriedAgain) {
  ClusterHarness h;
  ASSERT_TRUE(h.Connect("n1").ok());
  ASSERT_TRUE(h.Apply("v1", 3).ok());
  h.Settle();
  const uint64_t generation = h.Apply("v2", 3)->at(0).generation;
  InstanceReport report = h.Report(h.Of(1).at(1).id, Phase::kBackoff);
  report.detail = "exited with code 1";
  report.failed_starts = 3;
  h.Say(report);
  EXPECT_EQ(h.Status().rollout, RolloutPhase::kRolledBack);
  EXPECT_EQ(h.Status().failure, "web.1 on n1: exited with code 1 (3 failed starts)");
  EXPECT_EQ(h.Status().app.revision, 1u);
  EXPECT_GT(h.Status().app.generation, generation);
  EXPECT_EQ(h.Count("rolled-back"), 1u);
  h.Settle();
  EXPECT_TRUE(h.Status().settled);
  EXPECT_EQ(h.model.revisions().at({kWeb, 2}).result, ReleaseResult::kRolledBack);

  const auto again = h.Apply("v2", 3);
  EXPECT_THAT(again->at(0).refused, HasSubstr("this is what r2 was, which was rolled back: web.1"));
  EXPECT_EQ(h.Status().app.revision, 1u);
  h.Restart();  // the controller remembers
  EXPECT_EQ(h.Status().rollout, RolloutPhase::kRolledBack);
  EXPECT_FALSE(h.Apply("v2", 3)->at(0).refused.empty());
  EXPECT_TRUE(h.Apply("v3", 3)->at(0).refused.empty());
}

TEST(ClusterRolloutTest, UndoReturnsToTheLastLiveReleaseAsAWhole) {
  ClusterHarness h;
  ASSERT_TRUE(h.Connect("n1").ok());
  RevisionConfig first = ClusterHarness::Config("v1");
  first.path = "/first";
  ASSERT_TRUE(h.Apply({{kWeb, first, 2}}).ok());
  h.Settle();
  ASSERT_TRUE(h.Apply("v2", 2).ok());
  h.Settle();
  EXPECT_EQ(h.routing.routes.at(0).path, "/");
  const auto undone = h.Do([&](Effects& e) { return h.cluster->Undo(kWeb, 0, h.now, e); });
  ASSERT_TRUE(undone.ok()) << undone.status();
  EXPECT_EQ(undone->revision, 1u);
  EXPECT_EQ(h.routing.routes.at(0).path, "/first");
  h.Settle();
  EXPECT_TRUE(h.Status().settled);
  EXPECT_EQ(h.Of(1).at(0).revision, 1u);
  const auto none = h.Do([&](Effects& e) { return h.cluster->Undo(kWeb, 0, h.now, e); });
  EXPECT_EQ(none.status().code(), absl::StatusCode::kFailedPrecondition);
  const auto unknown = h.Do([&](Effects& e) { return h.cluster->Undo(kWeb, 9, h.now, e); });
  EXPECT_EQ(unknown.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(unknown.status().message()), HasSubstr("kept are: r1, r2"));
}

TEST(ClusterRolloutTest, APausedRolloutStaysPausedOverARestart) {
  ClusterHarness h;
  ASSERT_TRUE(h.Connect("n1").ok());
  ASSERT_TRUE(h.Apply("v1", 4).ok());
  h.Settle();
  ASSERT_TRUE(h.Apply("v2", 4).ok());
  ASSERT_TRUE(h.Do([&](Effects& e) { return h.cluster->SetPaused(kWeb, true, h.now, e); }).ok());
  h.Settle();
  EXPECT_EQ(h.Status().rollout, RolloutPhase::kPaused);
  EXPECT_EQ(h.Status().outdated, 3u);
  h.Restart();
  ASSERT_TRUE(h.Connect(h.HelloWithAll("n1")).ok());
  h.Settle();
  EXPECT_EQ(h.Status().rollout, RolloutPhase::kPaused);
  EXPECT_EQ(h.Status().outdated, 3u);
  ASSERT_TRUE(h.Do([&](Effects& e) { return h.cluster->SetPaused(kWeb, false, h.now, e); }).ok());
  h.Settle();
  EXPECT_TRUE(h.Status().settled);
  EXPECT_EQ(h.Status().outdated, 0u);
}

TEST(ClusterRolloutTest, TheFirstNewInstancesAreObservedBesideTheOldOnes) {
  ClusterHarness h;
  ASSERT_TRUE(h.Connect("n1").ok());
  ASSERT_TRUE(h.Apply("v1", 4).ok());
  h.Settle();
  RevisionConfig next = ClusterHarness::Config("v2");
  next.strategy.observe = Millis{2'000};
  ASSERT_TRUE(h.Apply({{kWeb, next, 4}}).ok());
  h.Settle();
  EXPECT_EQ(h.Of(1).size(), 2u);
  EXPECT_EQ(h.Of(1).at(0).wish, Wish::kRun);
  EXPECT_EQ(h.Of(2).size(), 1u);
  h.Pass(Millis{2'100});
  h.Settle();
  EXPECT_TRUE(h.Status().settled);
  EXPECT_EQ(h.Of(4).at(0).revision, 2u);
}

TEST(ClusterRolloutTest, WhatProxiesSawEndsARelease) {
  ClusterHarness h;
  ASSERT_TRUE(h.Connect("n1").ok());
  ASSERT_TRUE(h.Apply("v1", 4).ok());
  h.Settle();
  RevisionConfig next = ClusterHarness::Config("v2");
  next.strategy.observe = Millis{2'000};
  ASSERT_TRUE(h.Apply({{kWeb, next, 4}}).ok());
  h.Settle();
  const auto saw = [&](const AssignmentId& id, uint64_t requests, uint64_t errors) {
    Load load;
    load.requests = requests;
    load.errors = errors;
    h.Saw({{id, load}});
  };
  const AssignmentId fresh = h.Of(1).at(1).id;
  saw(h.Of(2).at(0).id, 100, 0);
  saw(fresh, 19, 19);
  EXPECT_EQ(h.Status().rollout, RolloutPhase::kProgressing);
  saw(fresh, 1, 1);
  EXPECT_EQ(h.Status().rollout, RolloutPhase::kRolledBack);
  EXPECT_EQ(h.Status().failure, "errors 100.0% of 20 requests (r1: 0.0% of 100)");
  h.Settle();
  EXPECT_EQ(h.Shown(), "web.1:healthy web.2:healthy web.3:healthy web.4:healthy");
}

TEST(ClusterRolloutTest, ACanaryGetsItsShareStepByStepAndKeepsItOverARestart) {
  ClusterHarness h;
  ASSERT_TRUE(h.Connect("n1").ok());
  RevisionConfig first = ClusterHarness::Config("v1");
  first.path = "/first";
  ASSERT_TRUE(h.Apply({{kWeb, first, 4}}).ok());
  h.Settle();
  RevisionConfig next = ClusterHarness::Config("v2");
  next.strategy.canary_steps = {20, 50};
  next.strategy.manual_gate = true;
  ASSERT_TRUE(h.Apply({{kWeb, next, 4}}).ok());
  EXPECT_EQ(h.routing.routes.at(0).split, (TrafficSplit{2, 20})) << "before there is any instance";
  h.Settle();
  const auto running = [&](uint32_t slot) { return h.Of(slot).size(); };
  EXPECT_EQ(running(1), 2u);
  EXPECT_EQ(running(2), 1u);
  EXPECT_TRUE(h.Status().waits_for_promote);
  EXPECT_EQ(h.Status().step_number, 1u);
  EXPECT_EQ(h.routing.routes.at(0).path, "/first") << "routes change with the last step";

  h.Restart();
  ASSERT_TRUE(h.Connect(h.HelloWithAll("n1")).ok());
  h.Settle();
  EXPECT_TRUE(h.Status().waits_for_promote);
  EXPECT_EQ(h.routing.routes.at(0).split, (TrafficSplit{2, 20}));

  const auto promote = [&](bool all) {
    return h.Do([&](Effects& e) { return h.cluster->Promote(kWeb, all, h.now, e); });
  };
  ASSERT_TRUE(promote(false).ok());
  EXPECT_EQ(h.routing.routes.at(0).split, (TrafficSplit{2, 50}));
  h.Settle();
  EXPECT_EQ(running(2), 2u);
  EXPECT_EQ(running(3), 1u);
  EXPECT_EQ(h.Status().step_number, 2u);
  ASSERT_TRUE(promote(false).ok());
  EXPECT_EQ(h.routing.routes.at(0).split, std::nullopt);
  EXPECT_EQ(h.routing.routes.at(0).path, "/");
  h.Settle();
  EXPECT_TRUE(h.Status().settled);
  EXPECT_EQ(h.Of(4).at(0).revision, 2u);
  EXPECT_EQ(promote(true).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(ClusterRolloutTest, ACanaryThatFailsLeavesNothingBehind) {
  ClusterHarness h;
  ASSERT_TRUE(h.Connect("n1").ok());
  ASSERT_TRUE(h.Apply("v1", 2).ok());
  h.Settle();
  RevisionConfig next = ClusterHarness::Config("v2");
  next.strategy.canary_steps = {5};
  ASSERT_TRUE(h.Apply({{kWeb, next, 2}}).ok());
  h.Settle();
  ASSERT_EQ(h.Of(1).size(), 2u);
  Load load;
  load.requests = load.errors = 30;
  h.Saw({{h.Of(1).at(1).id, load}});
  EXPECT_EQ(h.Status().rollout, RolloutPhase::kRolledBack);
  EXPECT_EQ(h.routing.routes.at(0).split, std::nullopt);
  h.Settle();
  EXPECT_TRUE(h.Status().settled);
  EXPECT_EQ(h.Shown(), "web.1:healthy web.2:healthy");
}

TEST(ClusterRolloutTest, BlueGreenSwitchesWhenAllAreInRotation) {
  ClusterHarness h;
  ASSERT_TRUE(h.Connect("n1").ok());
  ASSERT_TRUE(h.Apply("v1", 3).ok());
  h.Settle();
  RevisionConfig next = ClusterHarness::Config("v2");
  next.strategy.blue_green = true;
  next.strategy.observe = Millis{2'000};
  ASSERT_TRUE(h.Apply({{kWeb, next, 3}}).ok());
  EXPECT_EQ(h.routing.routes.at(0).split, (TrafficSplit{2, 0}));
  h.Settle();
  EXPECT_EQ(h.routing.routes.at(0).split, (TrafficSplit{2, 100}));
  for (uint32_t slot = 1; slot <= 3; ++slot) EXPECT_EQ(h.Of(slot).size(), 2u);
  h.Pass(Millis{2'100});
  h.Settle();
  EXPECT_TRUE(h.Status().settled);
  EXPECT_EQ(h.routing.routes.at(0).split, std::nullopt);
  EXPECT_EQ(h.Of(3).at(0).revision, 2u);
}

TEST(ClusterRolloutTest, LatenciesOfThoseThatWarmUpAreNoEvidence) {
  ClusterHarness h;
  ASSERT_TRUE(h.Connect("n1").ok());
  ASSERT_TRUE(h.Apply("v1", 2).ok());
  h.Settle();
  h.Pass(Millis{5'000});
  RevisionConfig next = ClusterHarness::Config("v2");
  next.strategy.observe = Millis{60'000};
  ASSERT_TRUE(h.Apply({{kWeb, next, 2}}).ok());
  h.Settle();
  const auto saw = [&](const AssignmentId& id, size_t latency_class) {
    Load load;
    load.requests = load.latency[latency_class] = 500;
    h.Saw({{id, load}});
  };
  const AssignmentId fresh = h.Of(1).at(1).id;
  saw(h.Of(2).at(0).id, 2);
  saw(fresh, 9);
  EXPECT_EQ(h.Status().rollout, RolloutPhase::kProgressing);
  EXPECT_EQ(h.Status().loads.at(2).requests, 500u);
  h.Pass(Millis{3'000});
  saw(fresh, 9);
  EXPECT_EQ(h.Status().rollout, RolloutPhase::kRolledBack);
  EXPECT_EQ(h.Status().failure, "p99 up to 1000 ms of 500 requests (r1: up to 5 ms of 500)");
}

TEST(ClusterRolloutTest, InstancesThatEndAgainAndAgainEndTheirRelease) {
  ClusterHarness h;
  ASSERT_TRUE(h.Connect("n1").ok());
  ASSERT_TRUE(h.Apply("v1", 2).ok());
  h.Settle();
  RevisionConfig next = ClusterHarness::Config("v2");
  next.strategy.observe = Millis{60'000};
  ASSERT_TRUE(h.Apply({{kWeb, next, 2}}).ok());
  h.Settle();
  InstanceReport report = h.Report(h.Of(1).at(1).id, Phase::kBackoff);
  report.detail = "exited with code 1";
  report.crashes = 2;
  h.Say(report);
  EXPECT_EQ(h.Status().rollout, RolloutPhase::kProgressing);
  report.crashes = 3;
  report.last_lines = {"no database"};
  h.Say(report);
  EXPECT_EQ(h.Status().rollout, RolloutPhase::kRolledBack);
  EXPECT_EQ(h.Status().failure,
            "web.1 on n1: exited with code 1, 3 times in a row: no database (3 exits of the new "
            "instances)");
}

TEST(ClusterRolloutTest, TheDeadlineTakesTheReleaseBackButNotForTimeTheControllerSlept) {
  ClusterHarness h;
  ASSERT_TRUE(h.Connect("n1").ok());
  ASSERT_TRUE(h.Apply("v1", 2).ok());
  h.Settle();
  RevisionConfig next = ClusterHarness::Config("v2");
  next.strategy.progress_deadline = Millis{60'000};
  ASSERT_TRUE(h.Apply({{kWeb, next, 2}}).ok());
  h.Pass(Millis{30'000});
  // The host sleeps for an hour.
  h.now += std::chrono::hours{1};
  h.Do([&](Effects& e) {
    h.cluster->NodeHeartbeat(NodeId{"n1"}, h.now, e);
    h.cluster->Tick(h.now, e);
  });
  h.Pass(Millis{59'000});
  EXPECT_EQ(h.Status().rollout, RolloutPhase::kProgressing);
  h.Pass(Millis{2'000});
  EXPECT_EQ(h.Status().rollout, RolloutPhase::kRolledBack);
  EXPECT_EQ(h.Status().failure, "no progress within 60 s: 0 of 2 new instances are in rotation");
}

class EvidenceOverRestartsTest : public testing::Test {
 protected:
  static constexpr Millis kDwell{60'000};

  // Revision 2 is a canary with a tenth of the requests, in rotation at a proxy that reports.
  void SetUp() override {
    ASSERT_TRUE(h_.Connect("n1").ok());
    h_.ConnectProxy("p");
    ASSERT_TRUE(h_.Apply("v1", 4).ok());
    h_.Settle();
    RevisionConfig next = ClusterHarness::Config("v2");
    next.strategy.canary_steps = {10, 50};
    next.strategy.canary_interval = kDwell;
    ASSERT_TRUE(h_.Apply({{kWeb, next, 4}}).ok());
    h_.Settle();
    old_ = h_.Of(2).at(0).id;
    fresh_ = h_.Of(1).at(1).id;
    ASSERT_EQ(h_.Status().step_number, 1u);
  }
  void RestartController() {
    h_.Restart();
    ASSERT_TRUE(h_.Connect(h_.HelloWithAll("n1")).ok());
    h_.ConnectProxy("p");
    h_.AckAll();
  }
  static Load Of(uint64_t requests, uint64_t errors) {
    return {.requests = requests, .errors = errors};
  }

  ClusterHarness h_;
  AssignmentId old_, fresh_;
};

TEST_F(EvidenceOverRestartsTest, WhatSpokeAgainstAReleaseGoesOnSpeaking) {
  for (int i = 0; i < 19; ++i) h_.Saw({{old_, Of(10, 0)}, {fresh_, Of(1, 1)}});
  EXPECT_EQ(h_.Status().rollout, RolloutPhase::kProgressing);
  RestartController();
  const Load kept = h_.Status().loads.at(2);
  EXPECT_GE(kept.requests, 19u * 4 / 5);
  EXPECT_EQ(kept.requests, kept.errors);
  for (uint64_t seen = kept.requests; seen < 20; ++seen) {
    EXPECT_EQ(h_.Status().rollout, RolloutPhase::kProgressing) << seen;
    h_.Saw({{old_, Of(10, 0)}, {fresh_, Of(1, 1)}});
  }
  EXPECT_EQ(h_.Status().rollout, RolloutPhase::kRolledBack);
  EXPECT_THAT(h_.Status().failure, HasSubstr("errors 100.0% of 20 requests (r1: 0.0% of "));
}

// The release before fails as often: that is known only by what was seen before the restart.
TEST_F(EvidenceOverRestartsTest, HalfAWindowSpeaksAgainstNobody) {
  h_.Saw({{old_, Of(1'000, 200)}, {fresh_, Of(100, 20)}});
  RestartController();
  h_.Saw({{fresh_, Of(100, 20)}});
  EXPECT_EQ(h_.Status().rollout, RolloutPhase::kProgressing);
  EXPECT_EQ(h_.Status().loads.at(1), Of(1'000, 200));
  EXPECT_EQ(h_.Status().loads.at(2), Of(200, 40));
}

TEST_F(EvidenceOverRestartsTest, AReportIsJudgedAsAWhole) {
  h_.Saw({{fresh_, Of(100, 20)}, {old_, Of(1'000, 200)}});
  EXPECT_EQ(h_.Status().rollout, RolloutPhase::kProgressing);
}

TEST_F(EvidenceOverRestartsTest, AStepTakesItsWholeTimeFromWhenTheProxiesReportAgain) {
  h_.Pass(kDwell - Millis{1'000});
  RestartController();
  h_.Pass(kDwell * 2);
  EXPECT_EQ(h_.Status().step_number, 1u) << "acknowledged, but nobody says what it answers";
  h_.Answered("p", old_);
  h_.Pass(kDwell - Millis{1'000});
  EXPECT_EQ(h_.Status().step_number, 1u);
  h_.Pass(Millis{1'100});
  EXPECT_EQ(h_.Status().step_number, 2u);
}

TEST_F(EvidenceOverRestartsTest, AProxyThatNeverReportsHoldsAReleaseToItsDeadline) {
  RestartController();
  h_.Pass(Millis{599'000});
  EXPECT_EQ(h_.Status().rollout, RolloutPhase::kProgressing);
  h_.Pass(Millis{2'000});
  EXPECT_EQ(h_.Status().rollout, RolloutPhase::kRolledBack);
  EXPECT_EQ(h_.Status().failure, "no progress within 600 s: no word on requests from p");
}

TEST_F(EvidenceOverRestartsTest, AProxyThatIsForgottenIsNotWaitedFor) {
  h_.DisconnectProxy("p");
  h_.Pass(kDwell);
  EXPECT_EQ(h_.Status().step_number, 1u);
  h_.Pass(Millis{10'000});  // its lease
  EXPECT_EQ(h_.Status().step_number, 2u);
}

TEST_F(EvidenceOverRestartsTest, ACompleteRolloutKeepsNoEvidence) {
  h_.Saw({{old_, Of(1'000, 0)}, {fresh_, Of(100, 0)}});
  EXPECT_FALSE(h_.model.apps().at(kWeb).rollout.loads.empty());
  ASSERT_TRUE(h_.Do([&](Effects& e) { return h_.cluster->Promote(kWeb, true, h_.now, e); }).ok());
  h_.Settle();
  EXPECT_TRUE(h_.Status().settled);
  EXPECT_EQ(h_.model.apps().at(kWeb).rollout, Rollout{});
}

// Without requests nobody looks at the rollout meanwhile.
TEST_F(EvidenceOverRestartsTest, APauseOfAnyLengthIsNoLackOfProgress) {
  const auto pause = [&](bool paused) {
    return h_.Do([&](Effects& e) { return h_.cluster->SetPaused(kWeb, paused, h_.now, e); }).ok();
  };
  ASSERT_TRUE(pause(true));
  h_.Say(fresh_, Phase::kUnhealthy);
  h_.Pass(std::chrono::minutes{15});
  ASSERT_TRUE(pause(false));
  EXPECT_EQ(h_.Status().rollout, RolloutPhase::kProgressing);
  h_.Pass(Millis{599'000});
  EXPECT_EQ(h_.Status().rollout, RolloutPhase::kProgressing);
}

TEST(ClusterRolloutTest, ScaleDownTakesTheHighestSlots) {
  ClusterHarness h;
  ASSERT_TRUE(h.Connect("n1").ok());
  h.ConnectProxy("p");
  ASSERT_TRUE(h.Apply("v1", 4).ok());
  h.Settle();
  ASSERT_TRUE(h.Scale(2).ok());
  EXPECT_EQ(h.Shown(), "web.1:healthy web.2:healthy web.3:draining web.4:draining");
  EXPECT_FALSE(h.Status().settled);
  h.Ack("p");
  EXPECT_TRUE(h.Status().settled);  // draining ones may still finish
  EXPECT_EQ(h.Status().draining, 2u);
}

TEST(ClusterRolloutTest, NothingFitsIsSaidOnceAndTriedAgainWhenThereIsRoom) {
  ClusterHarness h;
  NodeHello hello = ClusterHarness::HelloOf("n1");
  hello.max_instances = 2;
  ASSERT_TRUE(h.Connect(hello).ok());
  ASSERT_TRUE(h.Apply("v1", 3).ok());
  EXPECT_EQ(h.Status().placed, 2u);
  EXPECT_EQ(h.Status().pending_reason, "n1 is full (2 of 2)");
  EXPECT_EQ(h.cluster->GetInstances(kWeb).at(2).state, "pending");
  h.Say(h.Of(1).at(0).id, Phase::kReady);
  EXPECT_EQ(h.Count("pending"), 1u);
  ASSERT_TRUE(h.Connect("n2").ok());
  EXPECT_EQ(h.Status().placed, 3u);
  EXPECT_EQ(h.Status().pending_reason, "");
}

TEST(ClusterRolloutTest, PanicServesWhatIsLeft) {
  ClusterHarness h;
  ASSERT_TRUE(h.Connect("n1").ok());
  ASSERT_TRUE(h.Apply("v1", 2).ok());
  h.Settle();
  h.Say(h.Of(1).at(0).id, Phase::kUnhealthy);
  EXPECT_EQ(h.Shown(), "web.2:healthy");
  h.Say(h.Of(2).at(0).id, Phase::kUnhealthy);
  EXPECT_EQ(h.Shown(), "web.1:healthy web.2:healthy");
  EXPECT_EQ(h.Status().available, 0u);
  h.Say(h.Of(2).at(0).id, Phase::kReady);
  EXPECT_EQ(h.Shown(), "web.2:healthy");
}

TEST(ClusterRolloutTest, TheTableIsPublishedOnlyWhenItChanges) {
  ClusterHarness h;
  ASSERT_TRUE(h.Connect("n1").ok());
  ASSERT_TRUE(h.Apply("v1", 1).ok());
  InstanceReport report = h.Report(h.Of(1).at(0).id, Phase::kReady);
  h.Say(report);
  EXPECT_EQ(h.last.tables.size(), 1u);
  const uint64_t generation = h.tables.at(kWeb).generation;
  report.detail = "fine";
  h.Say(report);
  EXPECT_TRUE(h.last.tables.empty());
  h.Pass(seconds(1));
  EXPECT_EQ(h.cluster->Table(kWeb)->generation, generation);
}

TEST(ClusterRolloutTest, ANewProcessOfAnInstanceHasToBeAcknowledgedAgain) {
  ClusterHarness h;
  ASSERT_TRUE(h.Connect("n1").ok());
  h.ConnectProxy("p");
  ASSERT_TRUE(h.Apply("v1", 1).ok());
  h.Settle();
  const AssignmentId id = h.Of(1).at(0).id;
  InstanceReport restarted = h.Report(id, Phase::kReady);
  restarted.port = 29'000;
  restarted.restarts = 1;
  h.Say(restarted);  // the reports between were not seen
  EXPECT_EQ(h.Count("instance-exited"), 1u);
  EXPECT_EQ(h.Status().available, 0u);
  h.Ack("p");
  EXPECT_EQ(h.Status().available, 1u);
}

// ---- drains ----

struct Drained {
  ClusterHarness h;
  AssignmentId id;

  explicit Drained(std::vector<std::pair<std::string, bool>> proxies) {
    EXPECT_TRUE(h.Connect("n1").ok());
    for (const auto& [name, reports] : proxies) h.ConnectProxy(name, reports);
    EXPECT_TRUE(h.Apply("v1", 2).ok());
    h.Settle(3);
    EXPECT_TRUE(h.Status().settled);
    id = h.Of(2).at(0).id;
    EXPECT_TRUE(h.Scale(1).ok());
  }
};

TEST(ClusterDrainTest, WithoutProxiesItIsOverAtOnce) {
  Drained d({});
  EXPECT_FALSE(d.h.Ordered(d.id));
  EXPECT_EQ(d.h.Shown(), "web.1:healthy");
}

TEST(ClusterDrainTest, EveryLiveProxyHasToBeEmpty) {
  Drained d({{"p", true}, {"q", true}});
  d.h.Ack("p");
  d.h.InFlight("p", d.id, 0, true);
  EXPECT_TRUE(d.h.Ordered(d.id));
  d.h.Ack("q");
  EXPECT_TRUE(d.h.Ordered(d.id));
  d.h.InFlight("q", d.id, 3, true);
  d.h.InFlight("q", d.id, 0, false);  // its table had it pickable then
  EXPECT_TRUE(d.h.Ordered(d.id));
  d.h.InFlight("q", d.id, 0, true);
  EXPECT_FALSE(d.h.Ordered(d.id));
  EXPECT_EQ(d.h.Count("drained"), 1u);
}

TEST(ClusterDrainTest, TheTimeoutNamesWhoHoldsIt) {
  Drained d({{"p", true}, {"other-client", false}});
  d.h.AckAll();
  d.h.DrainAll();
  d.h.Pass(seconds(29));
  EXPECT_TRUE(d.h.Ordered(d.id));
  d.h.Pass(seconds(1));
  EXPECT_FALSE(d.h.Ordered(d.id));
  ASSERT_EQ(d.h.Count("drain-timeout"), 1u);
  for (const TimelineEvent& e : d.h.events) {
    if (e.kind != "drain-timeout") continue;
    EXPECT_EQ(e.message, "still held by other-client (does not report its requests)");
  }
}

TEST(ClusterDrainTest, ADisconnectedProxyCountsUntilItsLeaseIsOver) {
  Drained d({{"p", true}});
  d.h.DisconnectProxy("p");
  d.h.Pass(seconds(9));
  EXPECT_TRUE(d.h.Ordered(d.id));
  d.h.Pass(seconds(1));
  EXPECT_FALSE(d.h.Ordered(d.id));
  EXPECT_EQ(d.h.Count("proxy-forgotten"), 1u);
  EXPECT_TRUE(d.h.model.Load().proxies.empty());
}

TEST(ClusterDrainTest, AProxyThatComesBackCountsByWhatItAcknowledgesThen) {
  Drained d({{"p", true}});
  d.h.Ack("p");
  d.h.DisconnectProxy("p");
  d.h.ConnectProxy("p");
  d.h.InFlight("p", d.id, 0, true);
  EXPECT_TRUE(d.h.Ordered(d.id));
  d.h.Ack("p");
  EXPECT_FALSE(d.h.Ordered(d.id));
}

TEST(ClusterDrainTest, APredecessorCountsBeforeItComesForwardItself) {
  Drained d({{"p", true}});
  const ProxyId old{"p~1"};
  d.h.Do([&](Effects& e) { d.h.cluster->ProxyExpected(old, d.h.now, e); });
  d.h.ConnectProxy("p");
  d.h.Ack("p");
  d.h.InFlight("p", d.id, 0, true);
  EXPECT_TRUE(d.h.Ordered(d.id)) << "the old process may have a request there";
  d.h.ConnectProxy("p~1");
  // Said again by a stream that came later, it changes nothing.
  d.h.Do([&](Effects& e) { d.h.cluster->ProxyExpected(old, d.h.now, e); });
  d.h.Ack("p~1");
  d.h.InFlight("p~1", d.id, 1, true);
  EXPECT_TRUE(d.h.Ordered(d.id));
  d.h.InFlight("p~1", d.id, 0, true);
  EXPECT_FALSE(d.h.Ordered(d.id));
}

TEST(ClusterDrainTest, APredecessorThatNeverComesIsWaitedForAsLongAsALease) {
  Drained d({{"p", true}});
  d.h.Do([&](Effects& e) { d.h.cluster->ProxyExpected(ProxyId{"p~1"}, d.h.now, e); });
  d.h.AckAll();
  d.h.DrainAll();
  d.h.Pass(seconds(9));
  EXPECT_TRUE(d.h.Ordered(d.id));
  d.h.Pass(seconds(1));
  EXPECT_FALSE(d.h.Ordered(d.id));
}

TEST(ClusterDrainTest, AProxyThatSaidGoodbyeIsNotWaitedFor) {
  Drained d({{"p", true}, {"q", true}});
  d.h.Ack("q");
  d.h.InFlight("q", d.id, 0, true);
  EXPECT_TRUE(d.h.Ordered(d.id));
  d.h.Do([&](Effects& e) { d.h.cluster->ProxyLeft(ProxyId{"p"}, d.h.now, e); });
  EXPECT_FALSE(d.h.Ordered(d.id));
  EXPECT_EQ(d.h.model.Load().proxies.size(), 1u);
  // Its stream's end, which follows, is no news.
  d.h.DisconnectProxy("p");
  EXPECT_EQ(d.h.Count("proxy-disconnected"), 0u);
}

TEST(ClusterDrainTest, EndsWithTheProcess) {
  Drained d({{"p", true}});
  d.h.Say(d.id, Phase::kBackoff);
  EXPECT_FALSE(d.h.Ordered(d.id));
}

TEST(ClusterDrainTest, EndsWithTheNode) {
  ClusterHarness h;
  for (const char* name : {"n1", "n2", "n3"}) ASSERT_TRUE(h.Connect(name).ok());
  h.ConnectProxy("p");
  ASSERT_TRUE(h.Apply("v1", 3).ok());
  h.Settle(3);
  const Assignment last = h.Of(3).at(0);
  ASSERT_TRUE(h.Scale(2).ok());
  h.Pass(seconds(6), {last.node.value});
  EXPECT_TRUE(h.Of(3).empty());
}

TEST(ClusterDrainTest, WhatAnAgentNeverHeardOfIsForgottenAtOnce) {
  ClusterHarness h;
  ASSERT_TRUE(h.Connect("n1").ok());
  ASSERT_TRUE(h.Apply("v1", 1).ok());
  ASSERT_TRUE(h.Scale(0).ok());
  EXPECT_TRUE(h.model.assignments().empty());
}

}  // namespace
}  // namespace pando::controller
