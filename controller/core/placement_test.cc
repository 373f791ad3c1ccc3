#include "controller/core/placement.h"

#include <gtest/gtest.h>

namespace pando::controller {
namespace {

using Labels = std::map<std::string, std::string>;
const Labels kNoLabels;

PlacementNode Node(const std::string& name) {
  PlacementNode node;
  node.id = NodeId{name};
  node.labels = &kNoLabels;
  return node;
}

TEST(PlacementTest, ChoosesByAppThenLoadThenName) {
  struct Case {
    std::string name;
    uint32_t same_app[3];
    uint32_t instances[3];
    size_t want;
  };
  const Case cases[] = {
      {"all equal: first name", {0, 0, 0}, {0, 0, 0}, 0},
      {"fewest of the app wins over load", {1, 0, 1}, {1, 9, 1}, 1},
      {"same of the app: fewest instances", {1, 1, 1}, {3, 2, 1}, 2},
      {"ties go to the first name", {2, 1, 1}, {0, 4, 4}, 1},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    std::vector<PlacementNode> nodes = {Node("a"), Node("b"), Node("c")};
    for (size_t i = 0; i < 3; ++i) {
      nodes[i].same_app = c.same_app[i];
      nodes[i].used.instances = c.instances[i];
    }
    EXPECT_EQ(ChooseNode({}, nodes), c.want);
  }
}

TEST(PlacementTest, FiltersAreHardAndSayWhy) {
  constexpr uint64_t kMiB = 1 << 20;
  const Labels fast = {{"disk", "ssd"}};
  RevisionConfig plain, big, busy, picky;
  big.memory_bytes = 512 * kMiB;
  busy.cpu_millis = 1'000;
  picky.node_labels = fast;

  PlacementNode open = Node("node-1"), cordoned = Node("node-2"), full = Node("node-3"),
                small = Node("node-4"), hot = Node("node-5"), labelled = Node("node-6");
  cordoned.closed = "is cordoned";
  full.max_instances = full.used.instances = 4;
  small.memory_bytes = 1024 * kMiB;
  small.used.memory_bytes = 724 * kMiB;
  hot.cpu_millis = 2'000;
  hot.used.cpu_millis = 1'500;
  labelled.labels = &fast;

  struct Case {
    std::string name;
    RevisionConfig needs;
    std::vector<PlacementNode> nodes;
    std::optional<size_t> want;
    std::string why;
  };
  const Case cases[] = {
      {"no node", plain, {}, std::nullopt, "no node has joined"},
      {"cordoned", plain, {cordoned}, std::nullopt, "node-2 is cordoned"},
      {"full",
       plain,
       {full, cordoned},
       std::nullopt,
       "node-3 is full (4 of 4); node-2 is cordoned"},
      {"nothing declared by the node: fits", big, {open}, 0, ""},
      {"nothing declared by the app: fits", plain, {small}, 0, ""},
      {"memory",
       big,
       {small, cordoned},
       std::nullopt,
       "needs 512 MiB: node-4 has 300 MiB free; node-2 is cordoned"},
      {"cpu", busy, {hot}, std::nullopt, "needs 1000m cpu: node-5 has 500m cpu free"},
      {"label", picky, {open}, std::nullopt, "needs label disk=ssd: node-1 does not have it"},
      {"the only one that fits", picky, {cordoned, open, labelled}, 2, ""},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(ChooseNode(c.needs, c.nodes), c.want);
    if (c.want) continue;
    EXPECT_EQ(WhyNothingFits(c.needs, c.nodes), c.why);
  }
}

TEST(PlacementTest, NamesOnlyTheFirstOfManyNodes) {
  std::vector<PlacementNode> nodes;
  for (int i = 0; i < 20; ++i) {
    nodes.push_back(Node("n" + std::to_string(i)));
    nodes.back().closed = "is cordoned";
  }
  const std::string why = WhyNothingFits({}, nodes);
  EXPECT_NE(why.find("n7 is cordoned; and 12 more"), std::string::npos) << why;
}

}  // namespace
}  // namespace pando::controller
