// Which instances of an app would be better off elsewhere. Pure.
//
// A move has to pay: it makes the spread over labels or nodes more even by more than the move
// itself, or, when the spread stays as it is, takes a clear part of a node's load away. So a plan
// that was carried out is followed by an empty one.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "controller/core/placement.h"

namespace pando::controller {

struct PlacedInstance {
  AssignmentId id;
  NodeId node;
};

struct PlannedMove {
  AssignmentId id;
  NodeId from;
  NodeId to;  // where it would go now; the move itself chooses again
  std::string reason;
  bool operator==(const PlannedMove&) const = default;
};

// At most `most` moves of one app's instances (of one revision), those that help most first.
// `index` is as before when it returns.
std::vector<PlannedMove> PlanRebalance(NodeIndex& index, const RevisionConfig& needs,
                                       std::vector<PlacedInstance> placed, size_t most);

}  // namespace pando::controller
