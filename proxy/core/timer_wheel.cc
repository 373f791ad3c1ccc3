#include "proxy/core/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace pando::proxy {

void Timer::Unlink() {
  if (next_ == nullptr) return;
  previous_->next_ = next_;
  next_->previous_ = previous_;
  next_ = previous_ = nullptr;
}

TimerWheel::TimerWheel(Instant start) : start_(start) {
  for (Timer& slot : slots_) slot.next_ = slot.previous_ = &slot;
}

uint64_t TimerWheel::TickOf(Instant time) const {
  if (time <= start_) return 0;
  const auto ticks = (time - start_) / kTick;
  return static_cast<uint64_t>(ticks);
}

void TimerWheel::Link(Timer& timer, uint64_t tick) {
  timer.Unlink();
  timer.tick_ = tick;
  Timer& slot = slots_[tick % kSlots];
  timer.next_ = &slot;
  timer.previous_ = slot.previous_;
  slot.previous_->next_ = &timer;
  slot.previous_ = &timer;
  used_[tick % kSlots / 64] |= uint64_t{1} << (tick % 64);
}

void TimerWheel::Arm(Timer& timer, Instant deadline) {
  timer.deadline_ = deadline;
  // One more: the tick's start is before the deadline.
  const uint64_t wanted = TickOf(deadline) + 1;
  if (timer.next_ != nullptr && timer.tick_ <= wanted) return;
  Link(timer, std::clamp(wanted, current_ + 1, current_ + kSlots - 1));
}

void TimerWheel::Advance(Instant now) {
  const uint64_t target = TickOf(now);
  if (target <= current_) return;
  // After a long sleep each slot needs to be visited only once.
  uint64_t tick = std::max(current_ + 1, target >= kSlots ? target - kSlots + 1 : 0);
  for (; tick <= target; ++tick) {
    const uint64_t slot_index = tick % kSlots;
    const uint64_t bit = uint64_t{1} << (slot_index % 64);
    if ((used_[slot_index / 64] & bit) == 0) continue;
    used_[slot_index / 64] &= ~bit;
    current_ = std::max(current_, tick);
    // Moved aside first: what fires may arm timers into this very slot.
    Sentinel due;
    Timer& slot = slots_[slot_index];
    if (slot.next_ == &slot) continue;
    due.next_ = slot.next_;
    due.previous_ = slot.previous_;
    due.next_->previous_ = due.previous_->next_ = &due;
    slot.next_ = slot.previous_ = &slot;
    while (due.next_ != &due) {
      Timer& timer = *due.next_;
      timer.Unlink();
      if (timer.deadline_ == Instant::max()) continue;  // cancelled
      if (timer.deadline_ <= now) {
        timer.deadline_ = Instant::max();
        timer.OnTimer();
      } else {
        Arm(timer, timer.deadline_);
      }
    }
    due.next_ = due.previous_ = nullptr;
  }
  current_ = target;
}

Instant TimerWheel::NextWake() const {
  for (uint64_t tick = current_ + 1; tick < current_ + kSlots;) {
    const uint64_t slot = tick % kSlots;
    const uint64_t word = used_[slot / 64] >> (slot % 64);
    if (word != 0) {
      return start_ + kTick * static_cast<int64_t>(tick + std::countr_zero(word));
    }
    tick += 64 - slot % 64;
  }
  return Instant::max();
}

}  // namespace pando::proxy
