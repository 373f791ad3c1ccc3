#include <gmock/gmock.h>

#include "controller/core/cluster_harness.h"

namespace pando::controller {
namespace {

using std::chrono::seconds;

struct Cluster3 : ClusterHarness {
  explicit Cluster3(uint32_t replicas = 3, uint32_t max_instances = 0) {
    for (const char* name : {"n1", "n2", "n3"}) {
      NodeHello hello = HelloOf(name);
      hello.max_instances = max_instances;
      EXPECT_TRUE(Connect(hello).ok());
    }
    ConnectProxy("p");
    EXPECT_TRUE(Apply("v1", replicas).ok());
    Settle(3);
    EXPECT_TRUE(Status().settled);
  }
  absl::StatusOr<DrainOutcome> DrainNode(const std::string& name, Millis deadline = Millis{0}) {
    return Do([&](Effects& e) { return cluster->DrainNode(NodeId{name}, deadline, now, e); });
  }
  void SetCordoned(const std::string& name, bool cordoned) {
    EXPECT_TRUE(
        Do([&](Effects& e) { return cluster->SetCordoned(NodeId{name}, cordoned, now, e); }).ok());
  }
};

TEST(ClusterDrainTest, TheNewOneIsInRotationBeforeTheOldOneDrains) {
  Cluster3 h;
  const AssignmentId old = h.Of(2).at(0).id;
  ASSERT_EQ(h.Of(2).at(0).node.value, "n2");
  const auto outcome = h.DrainNode("n2");
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->instances, 1u);
  ASSERT_EQ(h.Of(2).size(), 2u);
  EXPECT_EQ(h.Shown(), "web.1:healthy web.2:healthy web.3:healthy");
  EXPECT_FALSE(h.Status().settled);
  const AssignmentId added = h.Of(2).at(0).id == old ? h.Of(2).at(1).id : h.Of(2).at(0).id;
  h.Say(added, Phase::kReady);
  EXPECT_EQ(h.model.assignments().at(old).wish, Wish::kRun);  // the proxy does not have it yet
  h.AckAll();
  EXPECT_EQ(h.model.assignments().at(old).wish, Wish::kDrain);
  EXPECT_TRUE(h.Ordered(old));
  h.AckAll();
  h.InFlight("p", old, 0, true);
  EXPECT_FALSE(h.Ordered(old));
  h.Gone(old);
  EXPECT_EQ(h.PerNode().count("n2"), 0u);
  EXPECT_EQ(h.Count("node-drained"), 1u);
  h.AckAll();
  EXPECT_TRUE(h.Status().settled);
}

TEST(ClusterDrainTest, MovesAreLimitedBySurge) {
  Cluster3 h(12);
  ASSERT_TRUE(h.DrainNode("n2").ok());
  EXPECT_EQ(h.model.assignments().size(), 12u + 3u);  // a quarter of 12
  h.Settle(10);
  EXPECT_EQ(h.PerNode(), (std::map<std::string, int>{{"n1", 6}, {"n3", 6}}));
  EXPECT_TRUE(h.Status().settled);
}

TEST(ClusterDrainTest, WithoutAPlaceElsewhereItStaysAndSaysWhy) {
  Cluster3 h(3, 1);
  ASSERT_TRUE(h.DrainNode("n2").ok());
  h.Settle(3);
  EXPECT_EQ(h.Shown(), "web.1:healthy web.2:healthy web.3:healthy");
  EXPECT_EQ(h.Status().pending_reason, "n1 is full (1 of 1); n2 is draining; n3 is full (1 of 1)");
  EXPECT_EQ(h.Count("node-drained"), 0u);
  h.SetCordoned("n2", false);
  h.Settle(1);
  EXPECT_EQ(h.Status().pending_reason, "");
  EXPECT_TRUE(h.Status().settled);
}

TEST(ClusterDrainTest, AfterTheDeadlineItGoesAllTheSame) {
  Cluster3 h(3, 1);
  ASSERT_TRUE(h.DrainNode("n2", seconds(60)).ok());
  h.Settle(2);
  h.Pass(seconds(59));
  EXPECT_EQ(h.Shown(), "web.1:healthy web.2:healthy web.3:healthy");
  h.Pass(seconds(1));
  EXPECT_EQ(h.Shown(), "web.1:healthy web.2:draining web.3:healthy");
  EXPECT_TRUE(h.Ordered(h.Of(2).at(0).id));  // still gated on the proxies
  h.Settle(2);
  EXPECT_EQ(h.PerNode().count("n2"), 0u);
  EXPECT_EQ(h.Count("node-drain-deadline"), 1u);
  EXPECT_EQ(h.Count("node-drained"), 1u);
  EXPECT_EQ(h.Status().available, 2u);
}

TEST(ClusterDrainTest, ARestartedControllerGoesOn) {
  Cluster3 h;
  ASSERT_TRUE(h.DrainNode("n2").ok());
  h.Restart();
  for (const char* name : {"n1", "n2", "n3"}) ASSERT_TRUE(h.Connect(h.HelloWithAll(name)).ok());
  h.ConnectProxy("p");
  h.Settle(3);
  EXPECT_EQ(h.PerNode().count("n2"), 0u);
  EXPECT_TRUE(h.Status().settled);
}

TEST(ClusterDrainTest, UncordonedMidwayKeepsOneOfEach) {
  Cluster3 h;
  const AssignmentId old = h.Of(2).at(0).id;
  ASSERT_TRUE(h.DrainNode("n2").ok());
  ASSERT_EQ(h.Of(2).size(), 2u);
  h.SetCordoned("n2", false);
  h.Settle(3);
  ASSERT_EQ(h.Of(2).size(), 1u);
  EXPECT_EQ(h.Of(2).at(0).id, old);  // it served; the new one did not yet
  EXPECT_TRUE(h.Status().settled);
}

TEST(ClusterDrainTest, AnEmptyNodeIsDrainedAtOnce) {
  Cluster3 h(1);
  ASSERT_TRUE(h.DrainNode("n3").ok());
  EXPECT_EQ(h.Count("node-drained"), 1u);
  EXPECT_EQ(h.DrainNode("n9").status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(h.Scale(4).ok());
  h.Settle(3);
  EXPECT_EQ(h.PerNode().count("n3"), 0u);
}

TEST(ClusterDrainTest, AReleaseDuringTheDrainGoesElsewhereToo) {
  Cluster3 h(4);
  ASSERT_TRUE(h.DrainNode("n1").ok());
  ASSERT_TRUE(h.Apply("v2", 4).ok());
  h.Settle(10);
  EXPECT_EQ(h.PerNode(), (std::map<std::string, int>{{"n2", 2}, {"n3", 2}}));
  EXPECT_TRUE(h.Status().settled);
}

}  // namespace
}  // namespace pando::controller
