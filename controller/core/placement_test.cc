#include "controller/core/placement.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace pando::controller {
namespace {

using ::testing::ElementsAre;

PlacementNode Node(const std::string& name, const Labels& labels = {}) {
  PlacementNode node;
  node.id = NodeId{name};
  node.labels = labels;
  return node;
}

struct Fleet {
  explicit Fleet(const std::vector<PlacementNode>& nodes) {
    for (const PlacementNode& node : nodes) index.Put(node);
  }
  // Places `count` instances and returns where they went.
  std::vector<std::string> Place(const RevisionConfig& needs, int count,
                                 const std::vector<std::string>& there = {}) {
    Placer placer(index, needs);
    for (const std::string& name : there) placer.Count(NodeId{name});
    std::vector<std::string> chosen;
    for (int i = 0; i < count; ++i) {
      const PlacementNode* const node = placer.Choose();
      if (node == nullptr) {
        chosen.push_back(placer.WhyNothingFits());
        break;
      }
      chosen.push_back(node->id.value);
      NodeUsage used = node->used;
      used.instances += 1;
      used.cpu_millis += needs.cpu_millis;
      used.memory_bytes += needs.memory_bytes;
      const NodeId id = node->id;
      index.SetUsed(id, used);
      placer.Count(id);
    }
    return chosen;
  }
  NodeIndex index;
};

TEST(PlacementTest, ChoosesByAppThenLoadThenName) {
  struct Case {
    std::string name;
    std::vector<std::string> of_app;
    uint32_t instances[3];
    std::string want;
  };
  const Case cases[] = {
      {"all equal: first name", {}, {0, 0, 0}, "a"},
      {"fewest of the app wins over load", {"a", "c"}, {1, 9, 1}, "b"},
      {"same of the app: fewest instances", {"a", "b", "c"}, {3, 2, 1}, "c"},
      {"ties go to the first name", {"a", "a", "b", "c"}, {0, 4, 4}, "b"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    std::vector<PlacementNode> nodes = {Node("a"), Node("b"), Node("c")};
    for (size_t i = 0; i < 3; ++i) nodes[i].used.instances = c.instances[i];
    EXPECT_THAT(Fleet(nodes).Place({}, 1, c.of_app), ElementsAre(c.want));
  }
}

TEST(PlacementTest, SpreadsOverZonesFirstAndThenOverNodes) {
  const std::vector<PlacementNode> nodes = {
      Node("n1", {{"zone", "a"}}), Node("n2", {{"zone", "a"}}), Node("n3", {{"zone", "a"}}),
      Node("n4", {{"zone", "b"}})};
  EXPECT_THAT(Fleet(nodes).Place({}, 4), ElementsAre("n1", "n4", "n2", "n4"));
  RevisionConfig by_host;
  by_host.spread_labels.clear();
  EXPECT_THAT(Fleet(nodes).Place(by_host, 4), ElementsAre("n1", "n2", "n3", "n4"));
  RevisionConfig by_rack;
  by_rack.spread_labels = {"rack"};  // nobody carries it: all are alike
  EXPECT_THAT(Fleet(nodes).Place(by_rack, 4), ElementsAre("n1", "n2", "n3", "n4"));
  RevisionConfig packed;
  packed.spread_labels.clear();
  packed.spread_hosts = false;  // by load alone
  std::vector<PlacementNode> uneven = {Node("n1"), Node("n2")};
  uneven[0].used.instances = 2;
  EXPECT_THAT(Fleet(uneven).Place(packed, 4), ElementsAre("n2", "n2", "n1", "n2"));
}

TEST(PlacementTest, AFullZoneDoesNotHoldBackTheOthers) {
  std::vector<PlacementNode> nodes = {Node("n1", {{"zone", "a"}}), Node("n2", {{"zone", "b"}})};
  nodes[1].max_instances = 1;
  EXPECT_THAT(Fleet(nodes).Place({}, 4), ElementsAre("n1", "n2", "n1", "n1"));
}

TEST(PlacementTest, LoadIsTheShareOfTheScarcestThingDeclared) {
  constexpr uint64_t kGiB = 1 << 30;
  RevisionConfig needs;
  needs.memory_bytes = kGiB;
  std::vector<PlacementNode> nodes = {Node("large"), Node("small")};
  nodes[0].memory_bytes = 8 * kGiB;
  nodes[1].memory_bytes = 2 * kGiB;
  RevisionConfig packed = needs;
  packed.spread_labels.clear();
  packed.spread_hosts = false;
  // Each time the one with the smaller share in use.
  EXPECT_THAT(Fleet(nodes).Place(packed, 6),
              ElementsAre("large", "small", "large", "large", "large", "small"));
  EXPECT_LT(LoadOf(nodes[0]), LoadWith(nodes[0], needs));
  EXPECT_LT(LoadWith(nodes[0], needs), LoadWith(nodes[1], needs));
}

TEST(PlacementTest, FiltersAreHardAndSayWhy) {
  constexpr uint64_t kMiB = 1 << 20;
  RevisionConfig plain, big, busy, picky, ruled, alone;
  big.memory_bytes = 512 * kMiB;
  busy.cpu_millis = 1'000;
  picky.node_labels = {{"disk", "ssd"}};
  ruled.node_rules = {*ParseLabelRule("zone!=b"), *ParseLabelRule("!gpu")};
  alone.max_per_node = 1;

  PlacementNode open = Node("node-1"), cordoned = Node("node-2"), full = Node("node-3"),
                small = Node("node-4"), hot = Node("node-5"),
                labelled = Node("node-6", {{"disk", "ssd"}, {"zone", "b"}}),
                gpu = Node("node-7", {{"gpu", "1"}});
  cordoned.closed = "is cordoned";
  full.max_instances = full.used.instances = 4;
  small.memory_bytes = 1024 * kMiB;
  small.used.memory_bytes = 724 * kMiB;
  hot.cpu_millis = 2'000;
  hot.used.cpu_millis = 1'500;

  struct Case {
    std::string name;
    RevisionConfig needs;
    std::vector<PlacementNode> nodes;
    std::string want;
  };
  const Case cases[] = {
      {"no node", plain, {}, "no node has joined"},
      {"cordoned", plain, {cordoned}, "node-2 is cordoned"},
      {"full", plain, {full, cordoned}, "node-2 is cordoned; node-3 is full (4 of 4)"},
      {"nothing declared by the node: fits", big, {open}, "node-1"},
      {"nothing declared by the app: fits", plain, {small}, "node-4"},
      {"memory",
       big,
       {small, cordoned},
       "needs 512 MiB; node-2 is cordoned; node-4 has 300 MiB free"},
      {"cpu", busy, {hot}, "needs 1000m cpu; node-5 has 500m cpu free"},
      {"label", picky, {open}, "needs label disk=ssd; node-1 has no label disk"},
      {"the only one that fits", picky, {cordoned, open, labelled}, "node-6"},
      {"rules",
       ruled,
       {labelled, gpu},
       "needs label zone!=b, label !gpu; node-6 has zone=b; node-7 has gpu=1"},
      {"rules that fit", ruled, {labelled, gpu, open}, "node-1"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_THAT(Fleet(c.nodes).Place(c.needs, 1), ElementsAre(c.want));
  }
  EXPECT_THAT(
      Fleet({open, small}).Place(alone, 3),
      ElementsAre("node-1", "node-4", "needs at most 1 on a node; node-1 has 1; node-4 has 1"));
}

TEST(PlacementTest, NamesOnlyTheFirstOfManyNodes) {
  Fleet fleet({});
  for (int i = 10; i < 30; ++i) {
    PlacementNode node = Node(absl::StrCat("n", i));
    node.closed = "is cordoned";
    fleet.index.Put(node);
  }
  const RevisionConfig needs;
  const Placer placer(fleet.index, needs);
  const std::string why = placer.WhyNothingFits();
  EXPECT_NE(why.find("n17 is cordoned; and 12 more"), std::string::npos) << why;
  EXPECT_EQ(placer.WhyNothingFits(20).find("more"), std::string::npos);
}

TEST(PlacementTest, ANodeThatChangesIsSeenAsItIs) {
  Fleet fleet({Node("a"), Node("b")});
  PlacementNode changed = Node("a", {{"zone", "x"}});
  changed.closed = "is cordoned";
  fleet.index.Put(changed);
  EXPECT_THAT(fleet.Place({}, 2), ElementsAre("b", "b"));
  changed.closed.clear();
  fleet.index.Put(changed);
  EXPECT_THAT(fleet.Place({}, 1), ElementsAre("a"));
  EXPECT_EQ(fleet.index.size(), 2u);
}

// The order it promises, against looking at every node for every instance.
TEST(PlacementTest, AgreesWithLookingAtEveryNode) {
  uint64_t state = 1;
  const auto below = [&state](uint32_t bound) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>((state >> 33) % bound);
  };
  for (int round = 0; round < 200; ++round) {
    SCOPED_TRACE(round);
    std::vector<PlacementNode> nodes;
    for (uint32_t i = 0, count = 1 + below(12); i < count; ++i) {
      nodes.push_back(Node(absl::StrCat("n", i), {{"zone", std::string(1, 'a' + below(3))}}));
      nodes.back().max_instances = 2 + below(6);
      nodes.back().memory_bytes = below(2) * (3 + below(8));
      nodes.back().used.instances = below(3);
      if (below(6) == 0) nodes.back().closed = "is cordoned";
    }
    RevisionConfig needs;
    needs.memory_bytes = below(3);
    needs.max_per_node = below(3) == 0 ? 2 : 0;
    needs.spread_hosts = below(4) != 0;
    if (below(3) == 0) needs.spread_labels.clear();

    std::map<std::string, uint32_t> on_node, in_zone;
    std::vector<std::string> want;
    std::vector<PlacementNode> model = nodes;
    for (int i = 0; i < 20; ++i) {
      PlacementNode* best = nullptr;
      const auto score = [&](const PlacementNode& node) {
        const uint32_t zone = needs.spread_labels.empty() ? 0 : in_zone[node.labels.at("zone")];
        const uint32_t host = needs.spread_hosts ? on_node[node.id.value] : 0;
        return std::make_tuple(zone, host, LoadOf(node), node.id);
      };
      for (PlacementNode& node : model) {
        const bool fits = node.closed.empty() && node.used.instances < node.max_instances &&
                          (node.memory_bytes == 0 ||
                           node.used.memory_bytes + needs.memory_bytes <= node.memory_bytes) &&
                          (needs.max_per_node == 0 || on_node[node.id.value] < needs.max_per_node);
        if (fits && (best == nullptr || score(node) < score(*best))) best = &node;
      }
      if (best == nullptr) break;
      want.push_back(best->id.value);
      ++on_node[best->id.value];
      ++in_zone[best->labels.at("zone")];
      best->used.instances += 1;
      best->used.memory_bytes += needs.memory_bytes;
    }
    std::vector<std::string> got = Fleet(nodes).Place(needs, 20);
    if (got.size() > want.size()) got.pop_back();  // why no more fits
    EXPECT_EQ(got, want);
  }
}

}  // namespace
}  // namespace pando::controller
