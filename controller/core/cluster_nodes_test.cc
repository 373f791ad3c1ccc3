#include <gmock/gmock.h>

#include "controller/core/cluster_harness.h"

namespace pando::controller {
namespace {

using std::chrono::seconds;

struct ThreeNodes : ClusterHarness {
  explicit ThreeNodes(uint32_t replicas = 3, ClusterPolicy policy = {}) : ClusterHarness(policy) {
    for (const char* name : {"n1", "n2", "n3"}) EXPECT_TRUE(Connect(name).ok());
    ConnectProxy("p");
    EXPECT_TRUE(Apply("v1", replicas).ok());
    Settle(3);
    EXPECT_TRUE(Status().settled);
  }
  NodeState StateOf(const std::string& name) const {
    for (const NodeStatus& node : cluster->GetNodes(now)) {
      if (node.record.id.value == name) return node.state;
    }
    return NodeState::kUnknown;
  }
};

TEST(ClusterNodesTest, TrafficLeavesASilentNodeSoonAndItsInstancesLater) {
  ThreeNodes h;
  const AssignmentId on_n2 = h.Of(2).at(0).id;
  ASSERT_EQ(h.Of(2).at(0).node.value, "n2");
  h.Pass(seconds(2), {"n2"});
  EXPECT_EQ(h.StateOf("n2"), NodeState::kSuspect);
  EXPECT_EQ(h.Shown(), "web.1:healthy web.2:suspect web.3:healthy");
  EXPECT_EQ(h.State(on_n2), "suspect");
  EXPECT_EQ(h.Of(2).size(), 1u);
  h.Pass(seconds(3), {"n2"});
  EXPECT_EQ(h.StateOf("n2"), NodeState::kLost);
  ASSERT_EQ(h.Of(2).size(), 1u);
  EXPECT_NE(h.Of(2).at(0).node.value, "n2");
  EXPECT_EQ(h.Shown(), "web.1:healthy web.3:healthy");
  h.Settle(3);
  EXPECT_TRUE(h.Status().settled);

  // It returns with what it still runs: that is not in its orders any more.
  NodeHello hello = ClusterHarness::HelloOf("n2");
  hello.instances.push_back(h.Report(on_n2, Phase::kReady));
  ASSERT_TRUE(h.Connect(hello).ok());
  EXPECT_TRUE(h.orders.at(NodeId{"n2"}).assignments.empty());
  EXPECT_EQ(h.Count("node-lost"), 1u);
  EXPECT_EQ(h.Count("node-returned"), 1u);
  EXPECT_TRUE(h.Status().settled);
}

TEST(ClusterNodesTest, ASuspectNodeThatSpeaksIsReadyAgain) {
  ThreeNodes h;
  h.Pass(seconds(3), {"n2"});
  h.Pass(Millis{100});
  EXPECT_EQ(h.Shown(), "web.1:healthy web.2:healthy web.3:healthy");
  h.AckAll();
  EXPECT_TRUE(h.Status().settled);
}

TEST(ClusterNodesTest, ADisconnectAloneChangesNothing) {
  ThreeNodes h;
  h.Do([&](Effects& e) { h.cluster->NodeDisconnected(NodeId{"n2"}, h.now, e); });
  EXPECT_TRUE(h.last.empty());
  EXPECT_EQ(h.StateOf("n2"), NodeState::kReady);
}

TEST(ClusterNodesTest, LostInstancesStayBoundWhileNothingElseHasRoom) {
  ClusterHarness h;
  for (const char* name : {"n1", "n2", "n3"}) {
    NodeHello hello = ClusterHarness::HelloOf(name);
    hello.max_instances = 1;
    ASSERT_TRUE(h.Connect(hello).ok());
  }
  ASSERT_TRUE(h.Apply("v1", 3).ok());
  h.Settle(3);
  const AssignmentId id = h.Of(2).at(0).id;
  h.Pass(seconds(6), {"n2"});
  EXPECT_EQ(h.State(id), "lost");
  EXPECT_EQ(h.Status().pending_reason, "n1 is full (1 of 1); n2 is lost; n3 is full (1 of 1)");
  NodeHello hello = h.HelloWithAll("n2");
  hello.max_instances = 1;
  ASSERT_TRUE(h.Connect(hello).ok());
  EXPECT_EQ(h.Of(2).at(0).id, id);
  EXPECT_TRUE(h.Status().settled);
  EXPECT_EQ(h.Status().pending_reason, "");
}

TEST(ClusterNodesTest, MassLossFreezes) {
  ThreeNodes h;
  const std::string before = h.Shown();
  const auto placed = h.PerNode();
  h.Pass(seconds(60), {"n1", "n2"});
  EXPECT_TRUE(h.cluster->frozen());
  EXPECT_EQ(h.Shown(), before);
  EXPECT_EQ(h.PerNode(), placed);
  EXPECT_EQ(h.Count("frozen"), 1u);
  EXPECT_EQ(h.Count("node-lost"), 0u);

  h.Pass(seconds(1), {"n1"});  // n2 is back: no longer more than half
  EXPECT_FALSE(h.cluster->frozen());
  EXPECT_EQ(h.Count("unfrozen"), 1u);
  EXPECT_EQ(h.Shown(), "web.1:suspect web.2:healthy web.3:healthy");
  EXPECT_EQ(h.Count("node-lost"), 0u);  // n1 may be on its way too
  h.Pass(seconds(3), {"n1"});
  EXPECT_EQ(h.Count("node-lost"), 1u);
  EXPECT_EQ(h.PerNode().count("n1"), 0u);
}

TEST(ClusterNodesTest, SmallSkewsAreUndoneByTheFreeze) {
  ThreeNodes h;
  h.Pass(Millis{100}, {"n1"});
  h.Pass(Millis{1'900}, {"n1", "n2"});
  EXPECT_EQ(h.Shown(), "web.1:suspect web.2:healthy web.3:healthy");
  h.Pass(Millis{100}, {"n1", "n2"});
  EXPECT_TRUE(h.cluster->frozen());
  EXPECT_EQ(h.Shown(), "web.1:healthy web.2:healthy web.3:healthy");
}

TEST(ClusterNodesTest, AnOperatorMayOverrideTheFreeze) {
  ThreeNodes h;
  EXPECT_EQ(h.Do([&](Effects& e) { return h.cluster->Unfreeze(h.now, e); }).code(),
            absl::StatusCode::kFailedPrecondition);
  h.Pass(seconds(10), {"n1", "n2"});
  ASSERT_TRUE(h.cluster->frozen());
  EXPECT_TRUE(h.Do([&](Effects& e) { return h.cluster->Unfreeze(h.now, e); }).ok());
  EXPECT_FALSE(h.cluster->frozen());
  EXPECT_EQ(h.PerNode(), (std::map<std::string, int>{{"n3", 3}}));
}

TEST(ClusterNodesTest, LossesInQuickSuccessionAreOneEvent) {
  ThreeNodes h(2);
  h.Pass(seconds(10), {"n1"});
  EXPECT_FALSE(h.cluster->frozen());
  EXPECT_EQ(h.PerNode().count("n1"), 0u);
  h.connected_nodes.erase(NodeId{"n1"});
  h.Settle(2);
  h.Pass(seconds(10), {"n1", "n2"});
  EXPECT_TRUE(h.cluster->frozen());  // 2 of 3 within half a minute
  EXPECT_GT(h.PerNode().at("n2"), 0);
  h.Pass(seconds(20), {"n1", "n2"});  // and now it is 1 of 2
  EXPECT_FALSE(h.cluster->frozen());
  EXPECT_EQ(h.PerNode(), (std::map<std::string, int>{{"n3", 2}}));
}

TEST(ClusterNodesTest, MostInstancesOnOneNodeFreezeToo) {
  ClusterHarness h;
  for (const char* name : {"n1", "n2", "n3"}) {
    NodeHello hello = ClusterHarness::HelloOf(name);
    hello.max_instances = name == std::string("n1") ? 10 : 1;
    ASSERT_TRUE(h.Connect(hello).ok());
  }
  h.ConnectProxy("p");
  ASSERT_TRUE(h.Apply("v1", 6).ok());
  h.Settle(3);
  ASSERT_EQ(h.PerNode().at("n1"), 4);
  h.Pass(seconds(3), {"n1"});
  EXPECT_TRUE(h.cluster->frozen());
  EXPECT_EQ(h.cluster->frozen_reason(), "1 of 3 nodes and 4 of 6 instances are silent");
}

TEST(ClusterNodesTest, ProxiesConfirmThatTwoOfThreeHostsDied) {
  ThreeNodes h(6);
  h.Pass(seconds(10), {"n1", "n2"});
  ASSERT_TRUE(h.cluster->frozen());
  std::map<std::string, std::vector<AssignmentId>> on;
  for (const auto& [id, a] : std::map(h.model.assignments())) on[a.node.value].push_back(id);
  // What n1 ran can not be reached; n2 is only hidden from the controller.
  for (const AssignmentId& id : on["n1"]) h.Unreachable("p", id);
  h.Answered("p", on["n2"][0]);
  h.Unreachable("p", on["n2"][1]);
  h.Pass(seconds(1), {"n1", "n2"});
  EXPECT_EQ(h.PerNode().count("n1"), 0u);
  EXPECT_EQ(h.PerNode().at("n2"), 2);
  EXPECT_FALSE(h.cluster->frozen());  // 1 of the 2 that are left: its lease decides again
  h.Answered("p", on["n2"][0]);
  h.Pass(seconds(1), {"n1", "n2"});
  EXPECT_EQ(h.PerNode().at("n2"), 2);
}

TEST(ClusterNodesTest, WithoutEvidenceAFreezeLasts) {
  ThreeNodes h(6);
  h.Pass(seconds(10), {"n1", "n2"});
  for (int i = 0; i < 20; ++i) {
    for (const auto& [id, a] : std::map(h.model.assignments())) {
      if (a.node.value != "n3") h.Answered("p", id);
    }
    h.Pass(seconds(1), {"n1", "n2"});
  }
  EXPECT_TRUE(h.cluster->frozen());
  EXPECT_EQ(h.Shown(),
            "web.1:healthy web.2:healthy web.3:healthy web.4:healthy web.5:healthy "
            "web.6:healthy");
  // Now they die one after the other; all is confirmed, and what is left runs everything.
  for (int i = 0; i < 10; ++i) {
    for (const auto& [id, a] : std::map(h.model.assignments())) {
      if (a.node.value != "n3") h.Unreachable("p", id);
    }
    h.Pass(seconds(1), {"n1", "n2"});
  }
  EXPECT_FALSE(h.cluster->frozen());
  EXPECT_EQ(h.PerNode(), (std::map<std::string, int>{{"n3", 6}}));
  EXPECT_EQ(h.Count("node-lost"), 2u);
}

TEST(ClusterNodesTest, NodesLostLongAgoDoNotCount) {
  ThreeNodes h(2);
  h.connected_nodes.erase(NodeId{"n1"});
  h.Pass(seconds(10));
  h.Settle(2);
  h.Pass(seconds(30));
  EXPECT_FALSE(h.cluster->frozen());
  h.Pass(seconds(10), {"n1", "n2"});  // 1 of the 2 that are left
  EXPECT_FALSE(h.cluster->frozen());
  EXPECT_EQ(h.PerNode(), (std::map<std::string, int>{{"n3", 2}}));
}

TEST(ClusterNodesTest, APauseOfTheControllerLosesNobody) {
  ThreeNodes h;
  h.now += seconds(60);
  // One node's messages are read before the first tick: the others are not lost for that.
  h.Do([&](Effects& e) { h.cluster->NodeHeartbeat(NodeId{"n1"}, h.now, e); });
  h.Do([&](Effects& e) { h.cluster->NodeHeartbeat(NodeId{"n2"}, h.now, e); });
  h.Do([&](Effects& e) { h.cluster->Tick(h.now, e); });
  EXPECT_EQ(h.StateOf("n3"), NodeState::kSuspect);
  h.Pass(Millis{100});
  EXPECT_EQ(h.StateOf("n3"), NodeState::kReady);
  EXPECT_EQ(h.Count("node-lost"), 0u);
}

TEST(ClusterNodesTest, ASecondAgentOfTheSameNameIsRefused) {
  ThreeNodes h;
  NodeHello thief = ClusterHarness::HelloOf("n1");
  thief.agent_id = "another";
  EXPECT_EQ(h.Connect(thief).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(h.Connect("n1").ok());  // the same agent again
  h.Do([&](Effects& e) { h.cluster->NodeDisconnected(NodeId{"n1"}, h.now, e); });
  h.Pass(seconds(6), {"n1"});
  EXPECT_TRUE(h.Connect(thief).ok());
}

TEST(ClusterNodesTest, TicksSayWhenTheyAreNeeded) {
  ThreeNodes h;
  const auto tick = [&] { h.Do([&](Effects& e) { h.cluster->Tick(h.now, e); }); };
  tick();
  ASSERT_TRUE(h.last.wake_at.has_value());
  EXPECT_LE(*h.last.wake_at, h.now + seconds(2));
  EXPECT_GT(*h.last.wake_at, h.now);
  h.now = *h.last.wake_at;
  tick();
  EXPECT_GT(*h.last.wake_at, h.now);
}

// ---- after a start ----

TEST(ClusterRecoveryTest, NothingIsDecidedBeforeTheNodesReported) {
  ThreeNodes h;
  const auto before = h.model.assignments();
  h.Restart();
  EXPECT_TRUE(h.cluster->recovering());
  EXPECT_EQ(h.Shown(), "none");
  EXPECT_EQ(h.routing.routes.size(), 1u);
  EXPECT_FALSE(h.Status().settled);
  ASSERT_TRUE(h.Scale(2).ok());
  ASSERT_TRUE(h.Connect(h.HelloWithAll("n1")).ok());
  ASSERT_TRUE(h.Connect(h.HelloWithAll("n2")).ok());
  EXPECT_EQ(h.Shown(), "none");
  EXPECT_EQ(h.model.assignments(), before);
  ASSERT_TRUE(h.Connect(h.HelloWithAll("n3")).ok());
  EXPECT_FALSE(h.cluster->recovering());
  EXPECT_EQ(h.Shown(), "web.1:healthy web.2:healthy web.3:draining");
  EXPECT_TRUE(h.Ordered(h.Of(3).at(0).id));  // the proxy of before has not said anything yet
  h.ConnectProxy("p");
  h.AckAll();
  h.DrainAll();
  EXPECT_FALSE(h.Ordered(h.Of(3).at(0).id));
}

TEST(ClusterRecoveryTest, WhoStaysAwayIsSilentSinceTheStart) {
  ThreeNodes h;
  h.Restart();
  ASSERT_TRUE(h.Connect(h.HelloWithAll("n1")).ok());
  ASSERT_TRUE(h.Connect(h.HelloWithAll("n2")).ok());
  h.Pass(Millis{4'900});
  EXPECT_EQ(h.Shown(), "none");
  h.Pass(Millis{100});
  EXPECT_FALSE(h.cluster->recovering());
  EXPECT_EQ(h.Shown(), "web.1:healthy web.2:healthy");
  EXPECT_EQ(h.PerNode().count("n3"), 0u);
}

TEST(ClusterRecoveryTest, AControllerThatSleptWaitsForTheHellosItDidNotRead) {
  ThreeNodes h;
  const auto before = h.model.assignments();
  h.Restart();
  ASSERT_TRUE(h.Connect(h.HelloWithAll("n1")).ok());
  ASSERT_TRUE(h.Connect(h.HelloWithAll("n2")).ok());
  h.now += seconds(20);
  h.Do([&](Effects& e) { h.cluster->Tick(h.now, e); });
  EXPECT_EQ(h.Shown(), "none");
  EXPECT_EQ(h.model.assignments(), before);
  ASSERT_TRUE(h.Connect(h.HelloWithAll("n3")).ok());
  EXPECT_EQ(h.Shown(), "web.1:healthy web.2:healthy web.3:healthy");
}

TEST(ClusterRecoveryTest, MostStayAway) {
  ThreeNodes h;
  h.Restart();
  ASSERT_TRUE(h.Connect(h.HelloWithAll("n1")).ok());
  h.Pass(seconds(30));
  EXPECT_TRUE(h.cluster->frozen());
  EXPECT_EQ(h.Shown(), "none");  // proxies keep what they have
  EXPECT_EQ(h.model.assignments().size(), 3u);
  ASSERT_TRUE(h.Connect(h.HelloWithAll("n2")).ok());
  ASSERT_TRUE(h.Connect(h.HelloWithAll("n3")).ok());
  EXPECT_FALSE(h.cluster->frozen());
  EXPECT_EQ(h.Shown(), "web.1:healthy web.2:healthy web.3:healthy");
}

TEST(ClusterRecoveryTest, StopsAndDrainsContinue) {
  ThreeNodes h;
  ASSERT_TRUE(h.Scale(1).ok());
  const AssignmentId second = h.Of(2).at(0).id, third = h.Of(3).at(0).id;
  h.AckAll();
  h.InFlight("p", third, 0, true);
  ASSERT_EQ(h.Of(3).at(0).wish, Wish::kStop);
  h.Restart();
  ASSERT_TRUE(h.Connect(h.HelloWithAll("n1")).ok());
  ASSERT_TRUE(h.Connect(h.HelloWithAll("n2")).ok());
  ASSERT_TRUE(h.Connect("n3").ok());  // it is gone already
  EXPECT_TRUE(h.Of(3).empty());
  EXPECT_EQ(h.Shown(), "web.1:healthy web.2:draining");
  EXPECT_TRUE(h.Ordered(second));
  h.Pass(seconds(10));  // the proxy of before never comes back
  EXPECT_FALSE(h.Ordered(second));
}

TEST(ClusterRecoveryTest, AnInstanceThatIsNotThereIsStartedAgain) {
  ThreeNodes h;
  h.Restart();
  for (const char* name : {"n1", "n3"}) ASSERT_TRUE(h.Connect(h.HelloWithAll(name)).ok());
  ASSERT_TRUE(h.Connect("n2").ok());  // the machine was rebooted
  EXPECT_EQ(h.Shown(), "web.1:healthy web.3:healthy");
  EXPECT_TRUE(h.Ordered(h.Of(2).at(0).id));
  EXPECT_EQ(h.State(h.Of(2).at(0).id), "assigned");
}

}  // namespace
}  // namespace pando::controller
