// The Store on a thread of its own, with group commit: whatever waits while one transaction is
// written becomes the next one, so the rate of changes does not depend on the disk's latency.
//
// A store that does not answer (kUnavailable) is asked again with backoff; meanwhile healthy() is
// false. Any other error is fatal: what the controller decided could not be kept, so nothing more
// is committed and `on_fatal` hears of it once.
#pragma once

#include <prometheus/histogram.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "common/runtime/executor.h"
#include "controller/store/store.h"

namespace pando::controller {

class StoreThread {
 public:
  // `owner` and `commit_seconds` outlive it; callbacks run on `owner`.
  StoreThread(std::unique_ptr<Store> store, Executor& owner, prometheus::Histogram& commit_seconds,
              std::function<void(absl::Status)> on_fatal);
  ~StoreThread();  // Stop()
  StoreThread(const StoreThread&) = delete;
  StoreThread& operator=(const StoreThread&) = delete;

  void Start();
  // Commits what is queued (unless the store does not answer) and joins the thread.
  void Stop();

  // Thread-safe. Batches are committed in the order of the calls; `committed` (may be null) is
  // posted to the owner when the batch survives a crash, in the same order.
  void Commit(std::vector<StoreWrite> writes, Task committed);
  bool healthy() const { return healthy_; }

 private:
  struct Batch {
    std::vector<StoreWrite> writes;
    Task committed;
  };

  void Run();
  std::vector<Batch> TakeBatches();  // empty: stopped
  absl::Status CommitWithRetry(const std::vector<StoreWrite>& writes);

  const std::unique_ptr<Store> store_;
  Executor& owner_;
  prometheus::Histogram& commit_seconds_;
  const std::function<void(absl::Status)> on_fatal_;
  std::atomic<bool> healthy_{true};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> queue_;  // guarded by mutex_
  bool stopping_ = false;    // guarded by mutex_
  std::thread thread_;
};

}  // namespace pando::controller
