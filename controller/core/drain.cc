#include "controller/core/drain.h"

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
  if (!input.unused) {
    for (const DrainProxy& proxy : live_proxies) {
      if (Holds(input, proxy)) verdict.holders.push_back(proxy.id);
    }
  }
  if (verdict.holders.empty()) {
    verdict.result = DrainResult::kDone;
  } else if (now >= input.deadline) {
    verdict.result = DrainResult::kTimedOut;
  }
  return verdict;
}

}  // namespace pando::controller
