#include "controller/service/store_thread.h"

#include <chrono>
#include <iterator>
#include <random>
#include <string>
#include <utility>

#include "common/base/backoff.h"
#include "common/runtime/log.h"

namespace pando::controller {
namespace {

// Bounds one transaction; what is left over goes into the next.
constexpr size_t kMaxWritesPerCommit = 4096;
constexpr BackoffPolicy kRetry{Millis{50}, Millis{2'000}};

}  // namespace

StoreThread::StoreThread(std::unique_ptr<Store> store, Executor& owner,
                         prometheus::Histogram& commit_seconds,
                         std::function<void(absl::Status)> on_fatal)
    : store_(std::move(store)),
      owner_(owner),
      commit_seconds_(commit_seconds),
      on_fatal_(std::move(on_fatal)) {}

StoreThread::~StoreThread() { Stop(); }

void StoreThread::Start() {
  thread_ = std::thread([this] { Run(); });
}

void StoreThread::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void StoreThread::Commit(std::vector<StoreWrite> writes, Task committed) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back({std::move(writes), std::move(committed)});
  }
  changed_.notify_all();
}

std::vector<StoreThread::Batch> StoreThread::TakeBatches() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
  std::vector<Batch> batches;
  size_t writes = 0;
  while (!queue_.empty() && (batches.empty() || writes < kMaxWritesPerCommit)) {
    writes += queue_.front().writes.size();
    batches.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return batches;
}

void StoreThread::Run() {
  while (true) {
    std::vector<Batch> batches = TakeBatches();
    if (batches.empty()) return;
    std::vector<StoreWrite> writes;
    for (Batch& batch : batches) {
      writes.insert(writes.end(), std::make_move_iterator(batch.writes.begin()),
                    std::make_move_iterator(batch.writes.end()));
    }
    if (absl::Status status = CommitWithRetry(writes); !status.ok()) {
      if (status.code() == absl::StatusCode::kUnavailable) return;  // stopped while it was away
      healthy_ = false;
      owner_.Post([this, status] { on_fatal_(status); });
      return;
    }
    for (Batch& batch : batches) {
      if (batch.committed) owner_.Post(std::move(batch.committed));
    }
  }
}

absl::Status StoreThread::CommitWithRetry(const std::vector<StoreWrite>& writes) {
  std::minstd_rand random{std::random_device{}()};
  std::uniform_real_distribution<double> unit(0.0, 1.0);
  for (int attempt = 0;; ++attempt) {
    const Instant start = owner_.Now();
    const absl::Status status = store_->Commit({}, writes).status();
    if (status.ok()) {
      commit_seconds_.Observe(std::chrono::duration<double>(owner_.Now() - start).count());
      if (!healthy_.exchange(true)) LogInfo("store answers again");
      return status;
    }
    if (status.code() != absl::StatusCode::kUnavailable) return status;
    if (healthy_.exchange(false)) {
      LogWarn("store does not answer; changes wait", {{"error", std::string(status.message())}});
    }
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, Backoff(kRetry, attempt, unit(random)),
                          [this] { return stopping_; })) {
      return status;
    }
  }
}

}  // namespace pando::controller
