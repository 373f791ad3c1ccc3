#include "controller/core/drain.h"

#include <algorithm>

namespace pando::controller {
namespace {

bool Holds(const DrainInput& input, const DrainProxy& proxy) {
  if (!input.unpickable_since || proxy.acked < *input.unpickable_since) return true;
  // A client that says nothing of its requests gets the whole drain timeout to finish them.
  return !proxy.reports_drains || !proxy.reported_empty;
}

}  // namespace

DrainVerdict JudgeDrain(const DrainInput& input, const std::vector<DrainProxy>& live_proxies,
                        Instant now) {
  DrainVerdict verdict;
  Instant deadline = input.deadline;
  if (!input.unused) {
    for (const DrainProxy& proxy : live_proxies) {
      if (!Holds(input, proxy)) continue;
      verdict.holders.push_back(proxy.id);
      if (proxy.tunnels > 0) deadline = std::max(deadline, input.tunnel_deadline);
    }
  }
  if (verdict.holders.empty()) {
    verdict.result = DrainResult::kDone;
  } else if (now >= deadline) {
    verdict.result = DrainResult::kTimedOut;
  }
  return verdict;
}

}  // namespace pando::controller
