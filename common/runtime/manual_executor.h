// Virtual time for tests: nothing happens until Advance. Not thread-safe.
#pragma once

#include <map>
#include <utility>

#include "common/runtime/executor.h"

namespace pando {

class ManualExecutor final : public Executor {
 public:
  Instant Now() const override { return now_; }
  WallTime WallNow() const override { return WallTime{now_.time_since_epoch()}; }
  void RunAfter(Millis delay, Task task) override { tasks_.emplace(now_ + delay, std::move(task)); }
  void Post(Task task) override { RunAfter(Millis{0}, std::move(task)); }

  // Runs, in order of time, what is due within `by`; the clock then stands at now + by.
  void Advance(Millis by) {
    const Instant end = now_ + by;
    while (!tasks_.empty() && tasks_.begin()->first <= end) {
      auto next = tasks_.extract(tasks_.begin());
      now_ = next.key();
      next.mapped()();
    }
    now_ = end;
  }

 private:
  Instant now_{std::chrono::hours{1}};  // not zero: a default Instant is "never" in places
  std::multimap<Instant, Task> tasks_;  // equal instants keep posting order
};

}  // namespace pando
