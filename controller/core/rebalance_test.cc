#include "controller/core/rebalance.h"

#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"

namespace pando::controller {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

struct Fleet {
  void Add(const std::string& name, uint32_t others = 0, const Labels& labels = {},
           uint32_t max_instances = 0) {
    PlacementNode node;
    node.id = NodeId{name};
    node.labels = labels;
    node.used.instances = others;
    node.max_instances = max_instances;
    index.Put(node);
  }
  void Place(const std::string& node, int count) {
    for (int i = 0; i < count; ++i) {
      placed.push_back({AssignmentId{absl::StrCat("a", placed.size())}, NodeId{node}});
      NodeUsage used = index.Find(NodeId{node})->used;
      used.instances += 1;
      index.SetUsed(NodeId{node}, used);
    }
  }
  std::vector<std::string> Plan(size_t most = 100) {
    std::vector<std::string> moves;
    for (const PlannedMove& move : PlanRebalance(index, needs, placed, most)) {
      moves.push_back(absl::StrCat(move.from.value, ">", move.to.value, " ", move.reason));
    }
    return moves;
  }
  NodeIndex index;
  RevisionConfig needs;
  std::vector<PlacedInstance> placed;
};

using ::testing::ElementsAre;

TEST(RebalanceTest, ANodeThatJoinsGetsItsShareAndNoMore) {
  Fleet fleet;
  for (const char* name : {"n1", "n2", "n3"}) fleet.Add(name);
  fleet.Place("n1", 3);
  fleet.Place("n2", 3);
  EXPECT_THAT(fleet.Plan(), ElementsAre("n2>n3 better spread", "n1>n3 better spread"));
  EXPECT_THAT(fleet.Plan(1), SizeIs(1));
  EXPECT_EQ(fleet.index.Find(NodeId{"n3"})->used.instances, 0u);  // only a plan
}

TEST(RebalanceTest, ADifferenceOfOneIsNoReason) {
  Fleet fleet;
  fleet.Add("n1");
  fleet.Add("n2");
  fleet.Place("n1", 2);
  fleet.Place("n2", 1);
  EXPECT_THAT(fleet.Plan(), IsEmpty());
}

TEST(RebalanceTest, ZonesComeFirst) {
  Fleet fleet;
  fleet.Add("n1", 0, {{"zone", "a"}});
  fleet.Add("n2", 0, {{"zone", "a"}});
  fleet.Add("n3", 9, {{"zone", "b"}});
  fleet.Place("n1", 1);
  fleet.Place("n2", 1);
  EXPECT_THAT(fleet.Plan(), ElementsAre("n2>n3 better spread"));
}

TEST(RebalanceTest, WithoutGainInSpreadOnlyAClearReliefPays) {
  Fleet fleet;
  fleet.Add("n1", 9);
  fleet.Add("n2", 0);
  fleet.Place("n1", 1);
  EXPECT_THAT(fleet.Plan(), ElementsAre("n1>n2 less load"));
  Fleet even;
  even.Add("n1", 4);
  even.Add("n2", 4);
  even.Place("n1", 1);
  EXPECT_THAT(even.Plan(), IsEmpty());
}

TEST(RebalanceTest, AFullNodeTakesNothing) {
  Fleet fleet;
  fleet.Add("n1");
  fleet.Add("n2", 2, {}, 2);
  fleet.Place("n1", 4);
  EXPECT_THAT(fleet.Plan(), IsEmpty());
}

// Does what is planned; false when there is nothing to do.
bool Carry(Fleet& fleet) {
  const std::vector<PlannedMove> moves = PlanRebalance(fleet.index, fleet.needs, fleet.placed, 100);
  for (const PlannedMove& move : moves) {
    for (PlacedInstance& instance : fleet.placed) {
      if (instance.id == move.id) instance.node = move.to;
    }
    for (const auto& [id, delta] : {std::pair(move.from, -1), std::pair(move.to, 1)}) {
      NodeUsage used = fleet.index.Find(id)->used;
      used.instances += static_cast<uint32_t>(delta);
      fleet.index.SetUsed(id, used);
    }
  }
  return !moves.empty();
}

TEST(RebalanceTest, PlansComeToAnEnd) {
  uint64_t state = 7;
  const auto below = [&state](uint32_t bound) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>((state >> 33) % bound);
  };
  for (int round = 0; round < 200; ++round) {
    SCOPED_TRACE(round);
    Fleet fleet;
    const uint32_t nodes = 2 + below(6);
    for (uint32_t i = 0; i < nodes; ++i) {
      fleet.Add(absl::StrCat("n", i), below(5), {{"zone", std::string(1, 'a' + below(2))}},
                below(2) * 12);
    }
    for (uint32_t i = 0; i < 4 + below(10); ++i) fleet.Place(absl::StrCat("n", below(nodes)), 1);
    size_t plans = 0;
    while (Carry(fleet) && plans < 10) ++plans;
    EXPECT_LT(plans, 5u);
  }
}

}  // namespace
}  // namespace pando::controller
