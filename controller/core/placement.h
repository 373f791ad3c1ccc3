// Chooses the node of one new instance: hard filters first, then scores. Pure.
//
// Scores, in order: fewest instances of the same app (and revision) on the node, fewest instances
// at all, name. The first spreads an app, the second the load, the third makes it repeatable.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controller/core/model.h"

namespace pando::controller {

// What is declared by the instances bound to a node, until they are gone from it.
struct NodeUsage {
  uint32_t instances = 0;
  uint32_t cpu_millis = 0;
  uint64_t memory_bytes = 0;
  bool operator==(const NodeUsage&) const = default;
};

struct PlacementNode {
  NodeId id;
  // Why it takes nothing now ("is cordoned", "is not connected"); empty when it does.
  std::string closed;
  const std::map<std::string, std::string>* labels = nullptr;
  // Zero: not declared, no limit.
  uint32_t cpu_millis = 0;
  uint64_t memory_bytes = 0;
  uint32_t max_instances = 0;
  NodeUsage used;
  uint32_t same_app = 0;  // instances of this app and revision that are wanted on it
};

// Index into `nodes`, or nullopt when nothing fits (ask WhyNothingFits).
std::optional<size_t> ChooseNode(const RevisionConfig& needs,
                                 const std::vector<PlacementNode>& nodes);

// "needs 512 MiB: node-1 has 300 MiB free; node-2 is cordoned"
std::string WhyNothingFits(const RevisionConfig& needs, const std::vector<PlacementNode>& nodes);

}  // namespace pando::controller
