#include <gmock/gmock.h>

#include "controller/core/cluster_harness.h"

namespace pando::controller {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Asked : ClusterHarness {
  explicit Asked(uint32_t max_instances = 0) {
    for (const char* name : {"n1", "n2"}) {
      NodeHello hello = HelloOf(name);
      hello.max_instances = max_instances;
      EXPECT_TRUE(Connect(hello).ok());
    }
    ConnectProxy("p");
  }
  std::vector<std::string> Why(const std::string& target) {
    const auto explanation = cluster->Why(target, now);
    EXPECT_TRUE(explanation.ok()) << explanation.status();
    return explanation.ok() ? explanation->lines : std::vector<std::string>{};
  }
};

TEST(ClusterWhyTest, APendingInstanceHearsFromEveryNode) {
  Asked h(1);
  ASSERT_TRUE(h.Apply("v1", 3).ok());
  h.Settle(2);
  ASSERT_TRUE(
      h.Do([&](Effects& e) { return h.cluster->SetCordoned(NodeId{"n2"}, true, h.now, e); }).ok());
  EXPECT_THAT(h.Why("web.3"), ElementsAre("web.3 r1 pending: n1 is full (1 of 1); n2 is cordoned"));
  EXPECT_THAT(h.Why("web"), ElementsAre(HasSubstr("in rotation"), HasSubstr("in rotation"),
                                        HasSubstr("web.3 r1 pending")));
}

TEST(ClusterWhyTest, AnAppTellsWhereItsRolloutStands) {
  Asked h;
  ASSERT_TRUE(h.Apply("v1", 4).ok());
  h.Settle();
  RevisionConfig next = ClusterHarness::Config("v2");
  next.strategy.canary_steps = {10, 60};
  next.strategy.canary_interval = Millis{60'000};
  ASSERT_TRUE(h.Apply({{kWeb, next, 4}}).ok());
  const auto first = [&] { return h.Why("web").at(0); };
  EXPECT_EQ(first(), "web: r2 replaces r1, step 1 of 2: 0 of 1 new instances are in rotation");
  h.Settle();
  EXPECT_EQ(first(), "web: r2 replaces r1, step 1 of 2: 60.0 s more");
  EXPECT_THAT(h.Why("web.2"), ElementsAre(HasSubstr("web.2 r1 on "),
                                          "web.2 r2 pending: waits until step 1 of 2 is over"));
  h.ConnectProxy("late");
  h.AckAll();
  EXPECT_EQ(first(), "web: r2 replaces r1, step 1 of 2: no word on requests from late");
  const auto pause = [&](bool paused) {
    return h.Do([&](Effects& e) { return h.cluster->SetPaused(kWeb, paused, h.now, e); }).ok();
  };
  ASSERT_TRUE(pause(true));
  EXPECT_EQ(first(), "web: r2 replaces r1, step 1 of 2: paused, until ctl rollout resume web");
  EXPECT_THAT(h.Why("web.2").back(), HasSubstr("pending: waits: the rollout is paused"));
  ASSERT_TRUE(pause(false));
  h.Settle();
  Load bad;
  bad.requests = bad.errors = 30;
  h.Saw({{h.Of(1).at(1).id, bad}});
  EXPECT_EQ(first(), "web: r2 was rolled back to r1: errors 100.0% of 30 requests (r1: 0.0% of 0)");
  ASSERT_TRUE(h.Apply("v3", 4).ok());
  h.Settle();
  EXPECT_EQ(h.Status().rollout, RolloutPhase::kComplete);
  EXPECT_THAT(first(), HasSubstr("web.1 r3 on ")) << "nothing to say";
}

TEST(ClusterWhyTest, TellsOfChildrenThatAnInstanceOutlived) {
  Asked h;
  ASSERT_TRUE(h.Apply("v1", 1).ok());
  const AssignmentId id = h.Of(1).at(0).id;
  InstanceReport report = h.Report(id, Phase::kReady);
  h.Say(report);
  h.AckAll();
  report.child_oom_kills = 1;
  report.detail = "1 of its child processes was OOMKilled at 64 MiB";
  h.Say(report);
  h.Say(report);
  EXPECT_EQ(h.Count("child-oom-killed"), 1u);
  EXPECT_EQ(h.Count("instance-exited"), 0u);
  EXPECT_THAT(h.Why("web.1"),
              ElementsAre("web.1 r1 on n1: in rotation, acknowledged by 1 proxies: 1 of its child "
                          "processes was OOMKilled at 64 MiB"));
  EXPECT_EQ(h.cluster->GetInstances(kWeb).at(0).detail, report.detail);
  report.child_oom_kills = 3;
  h.Say(report);
  EXPECT_EQ(h.Count("child-oom-killed"), 2u);
  ++report.incarnation;
  h.Say(report);
  EXPECT_EQ(h.Count("child-oom-killed"), 3u);
  report.child_oom_kills = 0;
  ++report.incarnation;
  h.Say(report);
  EXPECT_EQ(h.Count("child-oom-killed"), 3u);
}

TEST(ClusterWhyTest, FollowsAnInstanceThroughItsLife) {
  Asked h;
  ASSERT_TRUE(h.Apply("v1", 1).ok());
  const AssignmentId id = h.Of(1).at(0).id;
  EXPECT_THAT(h.Why("web.1"),
              ElementsAre("web.1 r1 on n1: assigned: its agent has not started it yet"));
  h.Say(id, Phase::kStarting);
  EXPECT_THAT(h.Why("web.1"),
              ElementsAre("web.1 r1 on n1: starting: its probe has not passed yet"));
  h.Say(id, Phase::kReady);
  EXPECT_THAT(h.Why("web.1"),
              ElementsAre("web.1 r1 on n1: ready, waits for p to acknowledge a table with it"));
  h.AckAll();
  EXPECT_THAT(h.Why("web.1"),
              ElementsAre("web.1 r1 on n1: in rotation, acknowledged by 1 proxies"));
  InstanceReport report = h.Report(id, Phase::kBackoff);
  report.detail = "exited with code 1";
  report.restarts = 2;
  h.Say(report);
  EXPECT_THAT(h.Why("web.1"), ElementsAre("web.1 r1 on n1: backoff: exited with code 1; started 3 "
                                          "times, starts again soon"));
  EXPECT_THAT(h.cluster->Why("web.1", h.now)->logs_of, ElementsAre("web.1"));
  h.Say(id, Phase::kReady);
  h.AckAll();
  h.Pass(Millis{2'500}, {"n1"});
  EXPECT_THAT(h.Why("web.1"), ElementsAre(HasSubstr("suspect: its node is silent for 2.5 s")));
}

TEST(ClusterWhyTest, ADrainNamesWhoHoldsIt) {
  Asked h;
  ASSERT_TRUE(h.Apply("v1", 2).ok());
  h.Settle(2);
  ASSERT_TRUE(h.Scale(1).ok());
  EXPECT_THAT(h.Why("web.2"), ElementsAre("web.2 r1 on n2: draining: waits for p (has to "
                                          "acknowledge), at most 30.0 s more"));
  h.AckAll();
  h.InFlight("p", h.Of(2).at(0).id, 3, true);
  h.Pass(Millis{1'000});
  EXPECT_THAT(h.Why("web.2"), ElementsAre("web.2 r1 on n2: draining: waits for p (3 requests), at "
                                          "most 29.0 s more"));
  EXPECT_EQ(h.cluster->GetInstances(kWeb).at(1).detail, "waits for p (3 requests)");
}

TEST(ClusterWhyTest, ADrainedNodeNamesWhatIsLeft) {
  Asked h(1);
  ASSERT_TRUE(h.Apply("v1", 2).ok());
  h.Settle(2);
  ASSERT_TRUE(h.Do([&](Effects& e) {
                 return h.cluster->DrainNode(NodeId{"n2"}, Millis{0}, h.now, e);
               }).ok());
  EXPECT_THAT(h.Why("n2"),
              ElementsAre("n2 has 1 instances, takes no more: it is draining; heard 0.0 s ago",
                          "web.2 r1 on n2: in rotation, acknowledged by 1 proxies; moves: its node "
                          "is draining",
                          "web.2 r1 pending: n1 is full (1 of 1); n2 is draining"));
  EXPECT_THAT(h.Why("n1"), ElementsAre(HasSubstr("takes")));
}

TEST(ClusterWhyTest, WhatIsNotThereIsSaidToBeMissing) {
  Asked h;
  ASSERT_TRUE(h.Apply("v1", 1).ok());
  for (const auto& [target, says] :
       std::map<std::string, std::string>{{"web.9", "there is no web.9: web has 1 instances"},
                                          {"api", "no app, instance or node is named api"},
                                          {"api.1", "no app, instance or node is named api.1"},
                                          {"web.x", "no app, instance or node is named web.x"}}) {
    SCOPED_TRACE(target);
    const auto explanation = h.cluster->Why(target, h.now);
    EXPECT_EQ(explanation.status().code(), absl::StatusCode::kNotFound);
    EXPECT_THAT(std::string(explanation.status().message()), HasSubstr(says));
  }
}

}  // namespace
}  // namespace pando::controller
