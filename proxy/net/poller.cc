#include "proxy/net/poller.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace pando::proxy {
namespace {

constexpr int kBatch = 256;

}  // namespace

Poller::Poller()
    : now_(std::chrono::steady_clock::now()), timers_(now_), read_buffer_(kReadBufferBytes) {}

absl::Status Poller::Init() {
  epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_.valid()) return absl::ErrnoToStatus(errno, "cannot create an epoll set");
  wake_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_.valid()) return absl::ErrnoToStatus(errno, "cannot create an eventfd");
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.ptr = nullptr;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0) {
    return absl::ErrnoToStatus(errno, "cannot watch an eventfd");
  }
  return absl::OkStatus();
}

void Poller::Run(const std::function<void()>& batch_end) {
  std::array<epoll_event, kBatch> events{};
  RunTasks();
  while (!stop_.load(std::memory_order_acquire)) {
    const int count = epoll_wait(epoll_.get(), events.data(), kBatch, WaitMillis());
    now_ = std::chrono::steady_clock::now();
    for (int i = 0; i < count; ++i) {
      auto* source = static_cast<EventSource*>(events[i].data.ptr);
      if (source == nullptr) {
        uint64_t ignored = 0;
        [[maybe_unused]] const ssize_t n = read(wake_.get(), &ignored, sizeof(ignored));
        RunTasks();
      } else {
        source->OnReady(events[i].events);
      }
    }
    timers_.Advance(now_);
    RunResumed();
    batch_end();
    retired_.clear();
  }
}

void Poller::Stop() {
  stop_.store(true, std::memory_order_release);
  Post([] {});
}

void Poller::Post(Task task) {
  {
    std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    if (tasks_.size() > 1) return;  // the thread was woken already
  }
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(wake_.get(), &one, sizeof(one));
}

absl::Status Poller::Add(int fd, EventSource& source, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &source;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return absl::ErrnoToStatus(errno, "cannot watch a socket");
  }
  return absl::OkStatus();
}

void Poller::Remove(int fd) { epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

void Poller::Resume(EventSource& source) {
  if (std::ranges::find(resumed_, &source) == resumed_.end()) resumed_.push_back(&source);
}

void Poller::Retire(std::unique_ptr<EventSource> source) {
  std::ranges::replace(resumed_, source.get(), static_cast<EventSource*>(nullptr));
  retired_.push_back(std::move(source));
}

int Poller::WaitMillis() const {
  if (!resumed_.empty()) return 0;
  const Instant wake = timers_.NextWake();
  if (wake == Instant::max()) return -1;
  const auto left = std::chrono::ceil<Millis>(wake - now_).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 60'000));
}

void Poller::RunTasks() {
  std::vector<Task> tasks;
  {
    std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  for (Task& task : tasks) task();
}

void Poller::RunResumed() {
  // By index: what runs here may resume again (left for the next round) or be retired (nulled).
  const size_t count = resumed_.size();
  for (size_t i = 0; i < count; ++i) {
    EventSource* source = std::exchange(resumed_[i], nullptr);
    if (source != nullptr) source->OnResume();
  }
  std::erase(resumed_, nullptr);
}

}  // namespace pando::proxy
