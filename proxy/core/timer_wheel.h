// Deadlines of many connections at almost no cost: putting a deadline off, which happens on every
// request, is one store; the wheel moves the timer when its old slot comes up.
//
// Pure: time is an argument. A timer fires at or after its deadline, at most kTick late (plus the
// caller's own delay). Not thread-safe.
#pragma once

#include <array>
#include <cstdint>

#include "common/base/time.h"

namespace pando::proxy {

class TimerWheel;

class Timer {
 public:
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  virtual ~Timer() { Unlink(); }
  // The timer is disarmed when this is called, and may be armed again.
  virtual void OnTimer() = 0;

 private:
  friend class TimerWheel;
  void Unlink();
  Timer* next_ = nullptr;  // null: in no slot
  Timer* previous_ = nullptr;
  Instant deadline_ = Instant::max();
  uint64_t tick_ = 0;  // of the slot it is in
};

class TimerWheel {
 public:
  static constexpr Millis kTick{10};

  explicit TimerWheel(Instant start);

  void Arm(Timer& timer, Instant deadline);
  void Cancel(Timer& timer) { timer.deadline_ = Instant::max(); }
  // Fires what is due.
  void Advance(Instant now);
  // When Advance has something to do next; Instant::max() for never.
  Instant NextWake() const;

 private:
  static constexpr uint64_t kSlots = 1024;
  struct Sentinel final : Timer {
    void OnTimer() override {}
  };
  void Link(Timer& timer, uint64_t tick);
  uint64_t TickOf(Instant time) const;

  Instant start_;
  uint64_t current_ = 0;  // every slot up to this tick has been visited
  std::array<Sentinel, kSlots> slots_;
  std::array<uint64_t, kSlots / 64> used_{};  // a set bit may be stale, a clear one never
};

}  // namespace pando::proxy
