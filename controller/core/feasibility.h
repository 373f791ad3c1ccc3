// Whether the nodes there are can run what a spec asks for at all, whatever else runs on them.
// Pure.
#pragma once

#include <string>
#include <vector>

#include "controller/core/cluster.h"

namespace pando::controller {

struct Finding {
  std::string field;  // as in the spec: "placement.labels"
  std::string text;   // "no node has disk=ssd (disk: hdd)"
  // No node there is could ever take an instance. Otherwise only some stay without a place.
  bool hopeless = false;

  bool operator==(const Finding&) const = default;
};

// Nothing is found without nodes: a cluster may be described before it is built. A node that has
// not been heard of since the controller's start may have any label.
std::vector<Finding> CheckFeasible(const RevisionConfig& config, uint32_t replicas,
                                   const std::vector<NodeStatus>& nodes);

}  // namespace pando::controller
