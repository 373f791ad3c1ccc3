// When much of the fleet is silent at once: does the controller believe it? Pure.
//
// It rather suspects itself, and freezes: more than half of the nodes, or of the instances, fell
// silent within a window. What proxies see decides the doubt: when their own connections to a
// silent node's instances fail and none is answered, that node is really gone.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "common/base/time.h"

namespace pando::controller {

struct FleetCount {
  size_t nodes = 0, silent_nodes = 0;
  size_t instances = 0, silent_instances = 0;  // of those that proxies may use
};

// More than half of either; those of a node that was lost longer ago than the window do not count.
// Silent nodes that serve nothing are no reason: there is nothing to protect.
bool ShouldFreeze(const FleetCount& fleet);
// "2 of 3 nodes and 4 of 9 instances are silent"
std::string Describe(const FleetCount& fleet);

// What proxies said of one instance: when a connection to it last failed, when it last answered.
struct Reach {
  std::optional<Instant> unreachable_at;
  std::optional<Instant> answered_at;
};

// How long nothing of a node may have answered anybody before its loss is believed.
inline constexpr Millis kQuietBeforeLoss{2'000};

// Whether proxies confirm that a node which is silent since `last_heard` is gone. `shown` are the
// instances of it that proxies may use.
bool ConfirmsLoss(const std::vector<Reach>& shown, Instant last_heard, Instant now);

}  // namespace pando::controller
