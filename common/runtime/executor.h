// Runs tasks one at a time, in order, on one thread: the owner of whatever the tasks touch.
// Two kinds: EventLoop (a real thread, asio) and ManualExecutor (virtual time, tests).
#pragma once

#include "absl/functional/any_invocable.h"
#include "common/base/time.h"

namespace pando {

using Task = absl::AnyInvocable<void()>;

// Post and RunAfter are thread-safe in EventLoop, not in ManualExecutor. A task cannot be
// cancelled: it looks at its owner's state and does nothing when it is no longer wanted.
class Executor {
 public:
  virtual ~Executor() = default;
  virtual Instant Now() const = 0;
  virtual WallTime WallNow() const = 0;
  virtual void RunAfter(Millis delay, Task task) = 0;
  virtual void Post(Task task) = 0;
};

}  // namespace pando
