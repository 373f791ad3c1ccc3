#include <gmock/gmock.h>

#include "controller/core/cluster_harness.h"

namespace pando::controller {
namespace {

using std::chrono::seconds;

ClusterPolicy Policy(Millis rebalance_after, uint32_t at_once) {
  ClusterPolicy policy;
  policy.rebalance_after = rebalance_after;
  policy.moves_at_once = at_once;
  return policy;
}

struct TwoAndOne : ClusterHarness {
  explicit TwoAndOne(ClusterPolicy policy) : ClusterHarness(policy) {
    for (const char* name : {"n1", "n2"}) EXPECT_TRUE(Connect(name).ok());
    ConnectProxy("p");
    EXPECT_TRUE(Apply("v1", 6).ok());
    Settle(3);
    EXPECT_TRUE(Connect("n3").ok());
  }
  absl::StatusOr<RebalanceOutcome> Rebalance(bool plan) {
    return Do([&](Effects& e) { return cluster->Rebalance({}, plan, now, e); });
  }
  size_t Moving() const {
    size_t moving = 0;
    for (const InstanceStatus& status : cluster->GetInstances(kWeb)) moving += status.leaving;
    return moving;
  }
  // Time passes while agents and proxies do what they are told.
  void Live(int rounds) {
    for (int i = 0; i < rounds; ++i) {
      Round();
      Pass(seconds(1));
    }
  }
};

TEST(ClusterRebalanceTest, ANodeThatJoinsGetsItsShareAfterAWhileFewAtATime) {
  TwoAndOne h(Policy(seconds(30), 1));
  h.Pass(seconds(29));
  EXPECT_EQ(h.PerNode(), (std::map<std::string, int>{{"n1", 3}, {"n2", 3}}));
  h.Pass(seconds(1));
  EXPECT_EQ(h.Moving(), 1u);
  EXPECT_EQ(h.PerNode().at("n3"), 1);
  EXPECT_EQ(h.Shown(),
            "web.1:healthy web.2:healthy web.3:healthy web.4:healthy web.5:healthy "
            "web.6:healthy");
  h.Live(10);
  EXPECT_EQ(h.PerNode(), (std::map<std::string, int>{{"n1", 2}, {"n2", 2}, {"n3", 2}}));
  EXPECT_TRUE(h.Status().settled);
  EXPECT_EQ(h.Count("moving"), 2u);
  EXPECT_EQ(h.cluster->moves_left(), 0u);
}

TEST(ClusterRebalanceTest, APlanChangesNothing) {
  TwoAndOne h(Policy(Millis{0}, 4));
  const auto plan = h.Rebalance(true);
  ASSERT_TRUE(plan.ok());
  ASSERT_EQ(plan->moves.size(), 2u);
  EXPECT_EQ(plan->moves[0].to.value, "n3");
  EXPECT_EQ(plan->at_once, 4u);
  h.Live(3);
  EXPECT_EQ(h.PerNode().count("n3"), 0u);
  ASSERT_TRUE(h.Rebalance(false).ok());
  h.Live(5);
  EXPECT_EQ(h.PerNode().at("n3"), 2);
  EXPECT_TRUE(h.Rebalance(true)->moves.empty());
  const auto unknown =
      h.Do([&](Effects& e) { return h.cluster->Rebalance(AppId{"api"}, true, h.now, e); });
  EXPECT_EQ(unknown.status().code(), absl::StatusCode::kNotFound);
}

TEST(ClusterRebalanceTest, AMoveWhoseSuccessorDoesNotStartIsGivenUp) {
  TwoAndOne h(Policy(Millis{0}, 1));
  ASSERT_TRUE(h.Rebalance(false).ok());
  ASSERT_EQ(h.Moving(), 1u);
  h.Pass(seconds(61));  // the start may take 30 s
  EXPECT_EQ(h.Moving(), 0u);
  EXPECT_EQ(h.Count("move-given-up"), 1u);
  h.Live(3);
  EXPECT_EQ(h.PerNode(), (std::map<std::string, int>{{"n1", 3}, {"n2", 3}}));
  EXPECT_TRUE(h.Status().settled);
}

TEST(ClusterRebalanceTest, ARestartInMidMoveLeavesOneOfEach) {
  TwoAndOne h(Policy(Millis{0}, 1));
  ASSERT_TRUE(h.Rebalance(false).ok());
  h.Round();
  h.Restart();
  for (const char* name : {"n1", "n2", "n3"}) ASSERT_TRUE(h.Connect(h.HelloWithAll(name)).ok());
  h.ConnectProxy("p");
  h.Live(5);
  EXPECT_EQ(h.model.assignments().size(), 6u);
  EXPECT_TRUE(h.Status().settled);
}

TEST(ClusterRebalanceTest, WaitsWhileARolloutIsOn) {
  TwoAndOne h(Policy(Millis{0}, 4));
  ASSERT_TRUE(h.Apply("v2", 6).ok());
  ASSERT_TRUE(h.Rebalance(false).ok());
  EXPECT_EQ(h.Moving(), 0u);
  h.Live(15);
  EXPECT_EQ(h.PerNode(), (std::map<std::string, int>{{"n1", 2}, {"n2", 2}, {"n3", 2}}));
  EXPECT_TRUE(h.Status().settled);
}

}  // namespace
}  // namespace pando::controller
