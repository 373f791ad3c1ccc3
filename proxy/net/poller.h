// One thread's event loop: edge-triggered epoll, a timer wheel, and tasks posted by other threads.
//
// Everything but Post and Stop belongs to the thread in Run. An object that is called back is never
// destroyed while events for it may still be queued: hand it to Retire instead.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "proxy/core/timer_wheel.h"
#include "proxy/net/socket.h"

namespace pando::proxy {

class EventSource {
 public:
  virtual ~EventSource() = default;
  virtual void OnReady(uint32_t epoll_events) = 0;
  // After Poller::Resume.
  virtual void OnResume() {}
};

class Poller {
 public:
  using Task = absl::AnyInvocable<void()>;

  // Peers write responses and bodies at most this large in one piece.
  static constexpr size_t kReadBufferBytes = 64 * 1024;

  Poller();

  absl::Status Init();
  // `batch_end` is called after each batch of events.
  void Run(const std::function<void()>& batch_end);
  void Stop();           // thread-safe
  void Post(Task task);  // thread-safe; tasks run in order

  absl::Status Add(int fd, EventSource& source, uint32_t events);
  void Remove(int fd);
  // Calls source.OnResume() before the loop sleeps again: for work left in order not to starve
  // other connections.
  void Resume(EventSource& source);
  void Retire(std::unique_ptr<EventSource> source);

  // Read once per batch.
  Instant now() const { return now_; }
  TimerWheel& timers() { return timers_; }
  // Shared by all connections: what is in it must be used or copied before anything else is read.
  std::span<char> read_buffer() { return read_buffer_; }

 private:
  int WaitMillis() const;
  void RunTasks();
  void RunResumed();

  Instant now_;
  TimerWheel timers_;
  UniqueFd epoll_;
  UniqueFd wake_;
  std::atomic<bool> stop_{false};
  std::mutex mutex_;  // std, not absl: the packaged absl::Mutex is invisible to ThreadSanitizer
  std::vector<Task> tasks_;  // guarded by mutex_
  std::vector<EventSource*> resumed_;
  std::vector<std::unique_ptr<EventSource>> retired_;
  std::vector<char> read_buffer_;
};

}  // namespace pando::proxy
