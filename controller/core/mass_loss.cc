#include "controller/core/mass_loss.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace pando::controller {

bool ShouldFreeze(const FleetCount& fleet) {
  if (fleet.silent_instances == 0) return false;
  return fleet.silent_nodes * 2 > fleet.nodes || fleet.silent_instances * 2 > fleet.instances;
}

std::string Describe(const FleetCount& fleet) {
  return absl::StrCat(fleet.silent_nodes, " of ", fleet.nodes, " nodes and ",
                      fleet.silent_instances, " of ", fleet.instances, " instances are silent");
}

bool ConfirmsLoss(const std::vector<Reach>& shown, Instant last_heard, Instant now) {
  size_t failing = 0;
  for (const Reach& reach : shown) {
    // One that answers anybody is there, whoever else fails to reach it.
    if (reach.answered_at && now - *reach.answered_at < kQuietBeforeLoss) return false;
    const bool fails = reach.unreachable_at && *reach.unreachable_at > last_heard &&
                       (!reach.answered_at || *reach.answered_at < *reach.unreachable_at);
    if (fails) ++failing;
  }
  // Two, so that it is not about one instance that just crashed; fewer where there are not so many.
  const size_t needed = std::min<size_t>(2, (shown.size() + 1) / 2);
  return failing > 0 && failing >= needed;
}

}  // namespace pando::controller
