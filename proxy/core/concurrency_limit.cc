#include "proxy/core/concurrency_limit.h"

#include <algorithm>
#include <cmath>

namespace pando::proxy {
namespace {

constexpr Millis kShortestWindow{100};
constexpr Millis kLongestWindow{5'000};
constexpr uint64_t kEnough = 60;   // answers to judge by
constexpr uint64_t kPlenty = 480;  // where the first ones leave a doubt
constexpr uint64_t kFew = 8;       // that have to do after kLongestWindow
constexpr Millis kShortestPause{1'000};
constexpr Millis kLongestPause{60'000};
// A trial may cost half of the capacity for its time: pauses make that 4 % at most, and with each
// trial in vain half as much.
constexpr int kPausesPerTrial = 12;
constexpr int kMaxDoublings = 6;
constexpr Millis kStall{200};
// Share of the samples in which requests waited: the limit is what keeps the app from more.
constexpr double kBinding = 0.8;
// Of a step's whole effect (a limit raised by half brings half more): what is worth a higher limit.
constexpr double kWorthwhile = 0.08;
constexpr double kMinGain = 0.02;

}  // namespace

void ConcurrencyLimit::StartWindow(const Sample& sample) {
  window_ = {sample.now, sample.answered, sample.service_micros, 0, 0, 0};
}

bool ConcurrencyLimit::IsRipe(const Sample& sample) const {
  const auto elapsed = sample.now - window_.start;
  const uint64_t answered = sample.answered - window_.answered;
  if (elapsed >= kLongestWindow && answered >= kFew) return true;
  // At least one whole turn of those in service.
  return elapsed >= kShortestWindow && answered >= std::max<uint64_t>(kEnough, sample.in_service);
}

ConcurrencyLimit::Rates ConcurrencyLimit::Measure(const Sample& sample) const {
  Rates rates;
  rates.answered = sample.answered - window_.answered;
  rates.service_micros =
      std::max(1.0, static_cast<double>(sample.service_micros - window_.service_micros) /
                        static_cast<double>(rates.answered));
  const std::chrono::duration<double> elapsed = sample.now - window_.start;
  rates.answered_rate =
      static_cast<double>(rates.answered) / elapsed.count() / std::max(sample.instances, 1u);
  const double samples = std::max(window_.samples, 1u);
  rates.in_service =
      static_cast<double>(window_.in_service_sum) / samples / std::max(sample.instances, 1u);
  rates.waiting = window_.samples_waiting / samples;
  return rates;
}

// Requests wait and nothing comes back: whatever holds the slots is not what they were sized for.
bool ConcurrencyLimit::CheckStall(const Sample& sample) {
  if (sample.answered != last_answered_ || sample.waiting == 0) {
    last_answered_ = sample.answered;
    last_progress_ = sample.now;
    return false;
  }
  if (sample.now - last_progress_ < std::max<std::chrono::nanoseconds>(kStall, 4 * usual_service_))
    return false;
  last_progress_ = sample.now;
  limit_ = std::min(kHighest, limit_ * 2);
  phase_ = Phase::kWatch;
  StartWindow(sample);
  return true;
}

void ConcurrencyLimit::TryLimit(uint32_t limit, const Sample& sample) {
  fallback_ = limit_;
  limit_ = limit;
  trying_up_ = limit > fallback_;
  trial_start_ = sample.now;
  phase_ = Phase::kSettle;
  // Answers of the first moments are still of requests from before.
  settled_at_ =
      sample.now + std::max<std::chrono::nanoseconds>(
                       Millis{40}, Micros{static_cast<int64_t>(1.5 * base_.service_micros)});
  StartWindow(sample);
}

void ConcurrencyLimit::Watch(const Sample& sample) {
  if (!IsRipe(sample)) return;
  base_ = Measure(sample);
  base_limit_ = limit_;
  // A trial is as good as what it is compared with.
  if (base_.answered < kPlenty / 2 && sample.now - window_.start < kLongestWindow / 4) return;
  const bool binding = base_.waiting > kBinding;
  base_slots_ = binding ? limit_ : std::min<double>(limit_, base_.in_service);
  // What was answered in the time says it best: after a burst the first requests have been in
  // service for less time than their number will take, and those an app has starved for more.
  base_capacity_ = base_.answered_rate;
  if (binding) base_capacity_ = std::max(base_capacity_, base_.Capacity(base_slots_));
  const double capacity = base_capacity_;
  if (binding && usual_capacity_ > 0 && capacity < 0.75 * usual_capacity_) {
    up_ = {};  // another kind of work than the limit was found for
  }
  if (binding) {
    usual_capacity_ = usual_capacity_ == 0 ? capacity : 0.8 * usual_capacity_ + 0.2 * capacity;
  }
  usual_service_ = Micros{static_cast<int64_t>(base_.service_micros)};
  StartWindow(sample);
  if (binding && limit_ < kHighest && sample.now >= up_.next) {
    const uint32_t step = up_.accepted > 0 ? limit_ : std::max(1u, limit_ / 4);
    TryLimit(limit_ + step, sample);
    return;
  }
  if (sample.now >= down_.next) TryLower(base_slots_, sample);
}

// The more often lower was as good, the longer the step: an instance given a hundred requests at
// once starves some of them for as long as it takes to get from there to one.
void ConcurrencyLimit::TryLower(double slots, const Sample& sample) {
  // Nothing waits inside an instance that has one request at most.
  if (slots <= 1.05) return;
  const auto lower = std::max(1u, static_cast<uint32_t>(slots * (down_.accepted < 2 ? 0.5 : 0.25)));
  if (lower < limit_) TryLimit(lower, sample);
}

void ConcurrencyLimit::Schedule(Instant now, bool accepted) {
  Direction& direction = trying_up_ ? up_ : down_;
  if (accepted) {
    ++direction.accepted;
    direction.rejected = 0;
    direction.next = now;
    return;
  }
  direction.accepted = 0;
  const auto trial = std::chrono::ceil<Millis>(now - trial_start_);
  Millis pause = std::max(kShortestPause, trial * kPausesPerTrial);
  pause *= 1 << std::min(direction.rejected, kMaxDoublings);
  ++direction.rejected;
  direction.next = now + std::min(pause, std::max(kLongestPause, trial * kPausesPerTrial));
}

// Both figures are of so many requests, whose times may differ as much as their mean is long.
double ConcurrencyLimit::Doubt(const Rates& now) const {
  return std::sqrt(1.0 / static_cast<double>(now.answered) +
                   1.0 / static_cast<double>(base_.answered));
}

ConcurrencyLimit::Verdict ConcurrencyLimit::JudgeHigher(const Rates& now) const {
  // When fewer requests are in service than may be, more would have to share the same time.
  const double slots = now.waiting > 0.5 ? limit_ : std::min<double>(limit_, now.in_service);
  const double step = limit_ / base_slots_ - 1;
  const double gain = now.Capacity(slots) / base_capacity_ - 1;
  const double wanted = std::max(kMinGain, kWorthwhile * step);
  if (now.answered < kPlenty && std::abs(gain - wanted) < Doubt(now)) return Verdict::kUnsure;
  return gain > wanted ? Verdict::kKeep : Verdict::kDrop;
}

ConcurrencyLimit::Verdict ConcurrencyLimit::JudgeLower(const Rates& now) const {
  const double step = 1 - limit_ / base_slots_;
  const double capacity = std::max(now.answered_rate, now.Capacity(limit_));
  const double loss = 1 - capacity / base_capacity_;
  const double allowed = std::max(kMinGain / 2, kWorthwhile / 2 * step);
  // At first a lucky figure does, for the sake of who waits inside the app. Later small losses
  // would add up.
  const bool first = base_limit_ == kHighest;
  if (loss <= allowed && (first || now.answered >= kPlenty)) return Verdict::kKeep;
  // An app whose capacity is the limit loses the whole step.
  const double doubt = Doubt(now);
  if (loss > allowed + 2 * doubt) return Verdict::kDrop;
  if (now.answered < kPlenty) return Verdict::kUnsure;
  return first && loss < std::min(step / 2, allowed + doubt / 2) ? Verdict::kKeep : Verdict::kDrop;
}

void ConcurrencyLimit::Judge(const Sample& sample) {
  const Rates now = Measure(sample);
  const Verdict verdict = trying_up_ ? JudgeHigher(now) : JudgeLower(now);
  if (verdict == Verdict::kUnsure && sample.now - window_.start < kLongestWindow) return;
  const bool accepted = verdict == Verdict::kKeep;
  const double capacity =
      std::max(now.answered_rate, now.Capacity(std::min<double>(limit_, now.in_service)));
  if (accepted) {
    usual_service_ = Micros{static_cast<int64_t>(now.service_micros)};
    usual_capacity_ = capacity;
  } else {
    limit_ = fallback_;
  }
  Schedule(sample.now, accepted);
  // One that has just been found too low or too high is not tried from the other side at once.
  if (accepted) (trying_up_ ? down_ : up_).accepted = 0;
  phase_ = Phase::kWatch;
  StartWindow(sample);
  if (!accepted || now.waiting <= kBinding) return;
  if (!trying_up_) {
    // Compared with the same: small losses would add up.
    TryLower(limit_, sample);
    return;
  }
  // What was measured is what the next one is compared with: no need to watch in between.
  base_ = now;
  base_slots_ = limit_;
  base_capacity_ = capacity;
  if (limit_ < kHighest) TryLimit(limit_ * 2, sample);
}

uint32_t ConcurrencyLimit::Update(const Sample& sample) {
  if (sample.instances != instances_ || window_.start == Instant{}) {
    // Another number of instances is another measure.
    if (phase_ != Phase::kWatch) limit_ = fallback_;
    phase_ = Phase::kWatch;
    instances_ = sample.instances;
    last_progress_ = sample.now;
    last_answered_ = sample.answered;
    StartWindow(sample);
    return limit_;
  }
  if (CheckStall(sample)) return limit_;
  window_.in_service_sum += sample.in_service;
  ++window_.samples;
  if (sample.waiting > 0) ++window_.samples_waiting;
  switch (phase_) {
    case Phase::kWatch:
      // After a lull what was seen before it is of no use.
      if (sample.now - window_.start > 2 * kLongestWindow) {
        StartWindow(sample);
      } else {
        Watch(sample);
      }
      break;
    case Phase::kSettle:
      if (sample.now >= settled_at_) {
        phase_ = Phase::kTry;
        StartWindow(sample);
      }
      break;
    case Phase::kTry:
      if (IsRipe(sample)) {
        Judge(sample);
      } else if (sample.now - window_.start > 2 * kLongestWindow) {
        limit_ = fallback_;  // the traffic has ended: no verdict
        phase_ = Phase::kWatch;
        StartWindow(sample);
      }
      break;
  }
  return limit_;
}

}  // namespace pando::proxy
