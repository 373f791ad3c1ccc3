#include "proxy/core/retry.h"

#include <algorithm>
#include <cstdlib>

namespace pando::proxy {

bool MayRetry(const RetryQuestion& question, const RetryPolicy& policy) {
  if (!question.body_replayable) return false;
  switch (question.failure) {
    case AttemptFailure::kNotSent:
      return question.attempts_made < policy.max_unsent_attempts;
    case AttemptFailure::kReusedClosed:
    case AttemptFailure::kNoResponse:
      return question.idempotent && question.attempts_made < policy.max_attempts;
    case AttemptFailure::kTimeout:
    case AttemptFailure::kResponseStarted:
      return false;
  }
  std::abort();  // not an enumerator
}

bool RetryBudget::TryTake(size_t active_requests) {
  const size_t limit = std::max<size_t>(kMinimum, active_requests * kPercent / 100);
  if (taken_ >= limit) return false;
  ++taken_;
  return true;
}

}  // namespace pando::proxy
