// The real Executor: one boost::asio::io_context run by one thread.
#pragma once

#include <boost/asio/io_context.hpp>

#include "common/runtime/executor.h"

namespace pando {

// Run() blocks its caller until Stop(); Post, RunAfter and Stop are thread-safe. Tasks still queued
// when the loop stops are destroyed, not run.
class EventLoop final : public Executor {
 public:
  EventLoop();
  ~EventLoop() override;
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  Instant Now() const override;
  WallTime WallNow() const override;
  void RunAfter(Millis delay, Task task) override;
  void Post(Task task) override;

  void Run();
  void Stop();
  boost::asio::io_context& io() { return io_; }

 private:
  boost::asio::io_context io_{1};
};

}  // namespace pando
