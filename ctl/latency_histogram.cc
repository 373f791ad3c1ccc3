#include "ctl/latency_histogram.h"

#include <algorithm>
#include <bit>

namespace pando::ctl {
namespace {

// Microseconds below 2 * kParts have a class each; above, each power of two is cut into kParts.
constexpr uint64_t kPartsBits = 6;
constexpr uint64_t kParts = uint64_t{1} << kPartsBits;

size_t ClassOf(uint64_t micros) {
  if (micros < 2 * kParts) return micros;
  const auto shift = static_cast<uint64_t>(std::bit_width(micros)) - 1 - kPartsBits;
  return static_cast<size_t>((shift << kPartsBits) + (micros >> shift));
}

// The largest duration of the class.
LatencyHistogram::Duration BoundOf(size_t number) {
  uint64_t micros = number;
  if (number >= 2 * kParts) {
    const uint64_t shift = (number >> kPartsBits) - 1;
    micros = (((number & (kParts - 1)) + kParts + 1) << shift) - 1;
  }
  return std::chrono::microseconds(micros + 1) - LatencyHistogram::Duration{1};
}

}  // namespace

void LatencyHistogram::Record(Duration duration) {
  duration = std::max(duration, Duration{0});
  const auto micros =
      static_cast<uint64_t>(std::chrono::floor<std::chrono::microseconds>(duration).count());
  const size_t number = ClassOf(micros);
  if (number >= classes_.size()) classes_.resize(number + 1);
  ++classes_[number];
  min_ = count_ == 0 ? duration : std::min(min_, duration);
  max_ = std::max(max_, duration);
  sum_ += static_cast<double>(duration.count());
  ++count_;
}

LatencyHistogram::Duration LatencyHistogram::mean() const {
  if (count_ == 0) return Duration{0};
  return Duration{static_cast<int64_t>(sum_ / static_cast<double>(count_))};
}

LatencyHistogram::Duration LatencyHistogram::Quantile(double q) const {
  const double rank = q * static_cast<double>(count_);
  uint64_t below = 0;
  for (size_t number = 0; number < classes_.size(); ++number) {
    below += classes_[number];
    if (below > 0 && static_cast<double>(below) >= rank) return std::min(BoundOf(number), max_);
  }
  return max_;
}

uint64_t LatencyHistogram::CountBetween(Duration from, Duration to) const {
  uint64_t count = 0;
  for (size_t number = 0; number < classes_.size(); ++number) {
    const Duration bound = BoundOf(number);
    if (bound > from && bound <= to) count += classes_[number];
  }
  return count;
}

}  // namespace pando::ctl
