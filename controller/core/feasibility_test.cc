#include "controller/core/feasibility.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace pando::controller {

void PrintTo(const Finding& finding, std::ostream* out) {
  *out << finding.field << ": " << finding.text << (finding.hopeless ? " (hopeless)" : "");
}

namespace {

NodeStatus Node(const std::string& name, const Labels& labels) {
  NodeStatus node;
  node.record.id = {name};
  node.hello.agent_id = "agent-of-" + name;
  node.hello.labels = labels;
  node.hello.cpu_millis = 4'000;
  node.hello.memory_bytes = uint64_t{8} << 30;
  return node;
}

NodeStatus Unheard() {
  NodeStatus node;
  node.record.id = {"away"};
  return node;
}

RevisionConfig Wants(const Labels& labels, const std::vector<std::string>& rules = {}) {
  RevisionConfig config;
  config.node_labels = labels;
  for (const std::string& rule : rules) config.node_rules.push_back(*ParseLabelRule(rule));
  return config;
}

TEST(FeasibilityTest, ToldIsWhatNoNodeCanDo) {
  const std::vector<NodeStatus> nodes = {Node("n1", {{"zone", "a"}, {"disk", "hdd"}}),
                                         Node("n2", {{"zone", "b"}})};
  RevisionConfig large = Wants({});
  large.cpu_millis = 5'000;
  large.memory_bytes = uint64_t{16} << 30;
  RevisionConfig few = Wants({{"zone", "a"}});
  few.max_per_node = 2;
  struct Case {
    std::string name;
    RevisionConfig config;
    std::vector<NodeStatus> nodes;
    std::vector<Finding> want;
  };
  const Case cases[] = {
      {"nothing is asked for", Wants({}), nodes, {}},
      {"one node fits", Wants({{"zone", "b"}}, {"!disk"}), nodes, {}},
      {"no nodes yet", Wants({{"zone", "x"}}), {}, {}},
      {"an unknown value",
       Wants({{"zone", "c"}}),
       nodes,
       {{"placement.labels", "no node has zone=c (zone is: a, b)", true}}},
      {"an unknown label",
       Wants({{"gpu", "yes"}}),
       nodes,
       {{"placement.labels", "no node has gpu=yes (the nodes' labels are: disk, zone)", true}}},
      {"no labels at all",
       Wants({{"gpu", "yes"}}),
       {Node("n1", {})},
       {{"placement.labels", "no node has gpu=yes (no node has any label)", true}}},
      {"a rule",
       Wants({}, {"zone!=a|b"}),
       nodes,
       {{"placement.constraints", "no node meets zone!=a|b (zone is: a, b)", true}}},
      {"each, but not together",
       Wants({{"zone", "b"}}, {"disk=hdd"}),
       nodes,
       {{"placement", "no node has all that labels and constraints ask for", true}}},
      {"who was not heard of may have it", Wants({{"zone", "c"}}), {nodes[0], Unheard()}, {}},
      {"too large for all",
       large,
       nodes,
       {{"resources.cpu", "no node has 5000m (the most is 4000m)"},
        {"resources.memory", "no node has 16384Mi (the most is 8192Mi)"}}},
      {"who was not heard of may be large", large, {nodes[0], Unheard()}, {}},
      {"too many for a few",
       few,
       nodes,
       {{"placement.max_per_node", "3 of 5 instances stay without a place: 1 node takes 2"}}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(CheckFeasible(c.config, 5, c.nodes), c.want);
  }
}

}  // namespace
}  // namespace pando::controller
