#include "controller/core/feasibility.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace pando::controller {
namespace {

struct Demand {
  std::string field;
  LabelRule rule;
};

std::vector<Demand> DemandsOf(const RevisionConfig& config) {
  std::vector<Demand> demands;
  for (const auto& [key, value] : config.node_labels) {
    demands.push_back({"placement.labels", {key, LabelRule::Kind::kOneOf, {value}}});
  }
  for (const LabelRule& rule : config.node_rules) {
    demands.push_back({"placement.constraints", rule});
  }
  return demands;
}

bool IsHeard(const NodeStatus& node) { return !node.hello.agent_id.empty(); }

// The values the nodes have: "disk: hdd, nvme", or which labels there are when none has this one.
std::string WhatThereIs(const std::string& key, const std::vector<NodeStatus>& nodes) {
  std::set<std::string> values, keys;
  for (const NodeStatus& node : nodes) {
    for (const auto& [label, value] : node.hello.labels) {
      keys.insert(label);
      if (label == key) values.insert(value);
    }
  }
  if (!values.empty()) return absl::StrCat(key, " is: ", absl::StrJoin(values, ", "));
  if (keys.empty()) return "no node has any label";
  return absl::StrCat("the nodes' labels are: ", absl::StrJoin(keys, ", "));
}

const char* Verb(const LabelRule& rule) {
  const bool has = rule.kind == LabelRule::Kind::kOneOf || rule.kind == LabelRule::Kind::kPresent;
  return has ? "has" : "meets";
}

std::string ToMebibytes(uint64_t bytes) { return absl::StrCat(bytes >> 20, "Mi"); }

// What is asked for is more than any of `fitting` has as a whole.
void CheckSize(const RevisionConfig& config, const std::vector<NodeStatus>& fitting,
               std::vector<Finding>& findings) {
  uint32_t cpu = 0;
  uint64_t memory = 0;
  for (const NodeStatus& node : fitting) {
    if (!IsHeard(node)) return;
    cpu = std::max(cpu, node.hello.cpu_millis);
    memory = std::max(memory, node.hello.memory_bytes);
  }
  if (config.cpu_millis > cpu) {
    findings.push_back({"resources.cpu", absl::StrCat("no node has ", config.cpu_millis,
                                                      "m (the most is ", cpu, "m)")});
  }
  if (config.memory_bytes > memory) {
    findings.push_back(
        {"resources.memory", absl::StrCat("no node has ", ToMebibytes(config.memory_bytes),
                                          " (the most is ", ToMebibytes(memory), ")")});
  }
}

}  // namespace

std::vector<Finding> CheckFeasible(const RevisionConfig& config, uint32_t replicas,
                                   const std::vector<NodeStatus>& nodes) {
  std::vector<Finding> findings;
  if (nodes.empty()) return findings;
  const bool all_heard = std::all_of(nodes.begin(), nodes.end(), IsHeard);
  const auto takes = [](const LabelRule& rule, const NodeStatus& node) {
    return !IsHeard(node) || Matches(rule, node.hello.labels);
  };
  const std::vector<Demand> demands = DemandsOf(config);
  std::vector<NodeStatus> fitting = nodes;
  for (const Demand& demand : demands) {
    if (std::none_of(nodes.begin(), nodes.end(),
                     [&](const NodeStatus& node) { return takes(demand.rule, node); })) {
      findings.push_back({demand.field,
                          absl::StrCat("no node ", Verb(demand.rule), " ", ToText(demand.rule),
                                       " (", WhatThereIs(demand.rule.key, nodes), ")"),
                          /*hopeless=*/true});
    }
    fitting.erase(std::remove_if(fitting.begin(), fitting.end(),
                                 [&](const NodeStatus& node) { return !takes(demand.rule, node); }),
                  fitting.end());
  }
  if (!findings.empty()) return findings;
  if (fitting.empty()) {
    return {{"placement", "no node has all that labels and constraints ask for", true}};
  }
  CheckSize(config, fitting, findings);
  const uint64_t room = uint64_t{config.max_per_node} * fitting.size();
  if (config.max_per_node > 0 && all_heard && replicas > room) {
    findings.push_back({"placement.max_per_node",
                        absl::StrCat(replicas - room, " of ", replicas,
                                     " instances stay without a place: ", fitting.size(),
                                     fitting.size() == 1 ? " node takes " : " nodes take ",
                                     config.max_per_node, fitting.size() == 1 ? "" : " each")});
  }
  return findings;
}

}  // namespace pando::controller
