#include "common/runtime/event_loop.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <utility>

namespace pando {

EventLoop::EventLoop() = default;
EventLoop::~EventLoop() = default;

Instant EventLoop::Now() const { return std::chrono::steady_clock::now(); }

WallTime EventLoop::WallNow() const { return std::chrono::system_clock::now(); }

void EventLoop::RunAfter(Millis delay, Task task) {
  if (delay <= Millis{0}) {
    Post(std::move(task));
    return;
  }
  auto timer = std::make_unique<boost::asio::steady_timer>(io_, delay);
  boost::asio::steady_timer& waiting = *timer;
  waiting.async_wait([timer = std::move(timer),
                      task = std::move(task)](const boost::system::error_code& error) mutable {
    if (!error) task();
  });
}

void EventLoop::Post(Task task) {
  boost::asio::post(io_, [task = std::move(task)]() mutable { task(); });
}

void EventLoop::Run() {
  const auto stay_when_idle = boost::asio::make_work_guard(io_);
  io_.run();
}

void EventLoop::Stop() { io_.stop(); }

}  // namespace pando
