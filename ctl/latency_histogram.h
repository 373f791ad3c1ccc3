// Counts durations in classes 1.6 % wide, from a microsecond to hours, in a few kilobytes. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

namespace pando::ctl {

class LatencyHistogram {
 public:
  using Duration = std::chrono::nanoseconds;

  void Record(Duration duration);

  uint64_t count() const { return count_; }
  Duration min() const { return count_ == 0 ? Duration{0} : min_; }
  Duration max() const { return max_; }
  Duration mean() const;
  // The upper bound of the class that holds the quantile, never more than max(); 0 when empty.
  Duration Quantile(double q) const;
  // Recorded durations in (from, to], by the classes' upper bounds.
  uint64_t CountBetween(Duration from, Duration to) const;

 private:
  std::vector<uint64_t> classes_;
  uint64_t count_ = 0;
  Duration min_{0};
  Duration max_{0};
  double sum_ = 0;  // nanoseconds
};

}  // namespace pando::ctl
