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
    case AttemptFailure::kTryTimeout:
      return question.idempotent && question.attempts_timed_out < policy.max_timed_out_attempts;
    case AttemptFailure::kTooLate:
    case AttemptFailure::kResponseStarted:
      return false;
  }
  std::abort();  // not an enumerator
}

bool RetryBudget::TryTake(uint64_t active_requests) {
  const uint64_t limit = std::max<uint64_t>(kMinimum, active_requests * kPercent / 100);
  uint32_t taken = taken_.load(std::memory_order_relaxed);
  while (taken < limit) {
    if (taken_.compare_exchange_weak(taken, taken + 1, std::memory_order_relaxed)) return true;
  }
  return false;
}

}  // namespace pando::proxy
