// What may be tried again, elsewhere: a request that surely was not processed always, one that may
// have been only if doing it twice is harmless.
#pragma once

#include <atomic>
#include <cstdint>

namespace pando::proxy {

enum class AttemptFailure {
  kNotSent,       // no connection, or not one byte could be written to it
  kReusedClosed,  // a kept connection ended without a byte of response: most likely an idle close
  kNoResponse,    // a fresh connection ended without a byte of response
  kTryTimeout,    // no answer in the time of one attempt; the instance may still be at it
  kTooLate,       // no answer in the time the client is to be kept waiting for one
  kResponseStarted,  // too late
};

struct RetryQuestion {
  AttemptFailure failure = AttemptFailure::kResponseStarted;
  bool idempotent = false;       // by method, or by an Idempotency-Key
  bool body_replayable = false;  // what was read of the body is still at hand
  int attempts_made = 1;
  int attempts_timed_out = 0;  // of these, this one included
};

struct RetryPolicy {
  // A refused connection costs next to nothing, and after a host is lost many may refuse in a row.
  int max_unsent_attempts = 8;
  int max_attempts = 3;
  // Whatever makes an instance slow may make the next one slow as well: one more is asked.
  int max_timed_out_attempts = 2;
};

bool MayRetry(const RetryQuestion& question, const RetryPolicy& policy = {});

// Keeps retries from multiplying the load of an app in trouble: at most a share of the requests
// that are active may be second attempts. Unsent requests put no load on anything and need no
// budget. One per app, for all workers; thread-safe, and touched by retries only.
class RetryBudget {
 public:
  static constexpr uint32_t kMinimum = 3;
  static constexpr uint32_t kPercent = 20;

  bool TryTake(uint64_t active_requests);
  void GiveBack() { taken_.fetch_sub(1, std::memory_order_relaxed); }
  uint32_t taken() const { return taken_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint32_t> taken_{0};
};

}  // namespace pando::proxy
