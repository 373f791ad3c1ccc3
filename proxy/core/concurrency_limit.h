// How many requests at a time an instance of an app is good for, found by trying.
//
// The app's capacity at a limit is the limit over the time a request takes at that limit (Little's
// law). A process that does one thing at a time takes twice as long with two requests in hand: its
// capacity stays the same, and all that waiting could as well be done in the proxy, in order. An
// app that waits for others takes the same time however many it has: its capacity is the limit. So
// now and then another limit is tried for a moment: a lower one is kept if it costs no capacity, a
// higher one if it brings some. Figures that leave a doubt are waited for longer. Trials that
// change nothing become rare.
//
// It starts without a limit: to queue in the proxy needs evidence, to let everything through none.
// When requests wait and the app's capacity falls, or nothing is answered at all, what was learned
// is of another time and the limit is raised at once.
//
// Pure: time and counts are given. Used by one thread.
#pragma once

#include <cstdint>

#include "common/base/time.h"

namespace pando::proxy {

class ConcurrencyLimit {
 public:
  static constexpr uint32_t kHighest = 1u << 20;  // as good as none

  struct Sample {
    Instant now;
    uint64_t answered = 0;        // requests of the app so far; only grows
    uint64_t service_micros = 0;  // that they were in service for, all together; only grows
    uint32_t in_service = 0;      // now, over all instances
    uint32_t instances = 0;       // that may get requests
    uint32_t waiting = 0;         // requests for which no instance has room
  };
  // To be called every 10 to 50 ms while there are requests. Returns the limit per instance.
  uint32_t Update(const Sample& sample);
  uint32_t limit() const { return limit_; }

 private:
  using Micros = std::chrono::microseconds;
  enum class Phase { kWatch, kSettle, kTry };
  // What was seen since its start.
  struct Window {
    Instant start{};
    uint64_t answered = 0;
    uint64_t service_micros = 0;
    uint64_t in_service_sum = 0;
    uint32_t samples = 0;
    uint32_t samples_waiting = 0;
  };
  struct Rates {
    double service_micros = 0;  // mean per request
    double answered_rate = 0;   // per second and instance
    double in_service = 0;      // mean per instance
    double waiting = 0;         // share of the samples
    uint64_t answered = 0;
    // Requests per second and instance, if the slots are always taken.
    double Capacity(double slots) const { return slots * 1e6 / service_micros; }
  };

  void StartWindow(const Sample& sample);
  bool IsRipe(const Sample& sample) const;
  Rates Measure(const Sample& sample) const;
  bool CheckStall(const Sample& sample);
  void Watch(const Sample& sample);
  void TryLower(double slots, const Sample& sample);
  void TryLimit(uint32_t limit, const Sample& sample);
  enum class Verdict { kKeep, kDrop, kUnsure };
  double Doubt(const Rates& now) const;
  Verdict JudgeHigher(const Rates& now) const;
  Verdict JudgeLower(const Rates& now) const;
  void Schedule(Instant now, bool accepted);
  void Judge(const Sample& sample);

  Phase phase_ = Phase::kWatch;
  uint32_t limit_ = kHighest;
  uint32_t instances_ = 0;
  Window window_;
  Instant last_progress_{};  // when something was answered
  uint64_t last_answered_ = 0;
  Micros usual_service_{0};  // when the limit was last judged
  double usual_capacity_ = 0;

  // A trial.
  uint32_t fallback_ = 0;  // the limit before it
  Rates base_;
  double base_slots_ = 0;     // per instance, in effect, before it
  double base_capacity_ = 0;  // at these
  uint32_t base_limit_ = kHighest;
  Instant settled_at_{};
  bool trying_up_ = false;

  struct Direction {
    Instant next{};
    int rejected = 0;
    int accepted = 0;  // in a row
  };
  Direction up_;
  Direction down_;
  Instant trial_start_{};
};

}  // namespace pando::proxy
