#include "proxy/core/traffic_stats.h"

namespace pando::proxy {

const std::vector<double>& LatencyBounds() {
  static const std::vector<double> bounds = {0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                             0.025,   0.05,   0.1,   0.25,   0.5,   1,
                                             2.5,     5,      10,    30,     60};
  return bounds;
}

uint64_t HistogramStats::count() const {
  uint64_t sum = 0;
  for (const uint64_t bucket : buckets) sum += bucket;
  return sum;
}

double HistogramStats::Quantile(double q) const {
  const uint64_t all = count();
  if (all == 0) return 0;
  const std::vector<double>& bounds = LatencyBounds();
  const double rank = q * static_cast<double>(all);
  uint64_t seen = 0;
  for (size_t i = 0; i < bounds.size(); ++i) {
    seen += buckets[i];
    if (static_cast<double>(seen) >= rank) return bounds[i];
  }
  return bounds.back();
}

void HistogramStats::Add(const HistogramStats& other) {
  if (buckets.size() < other.buckets.size()) buckets.resize(other.buckets.size());
  for (size_t i = 0; i < other.buckets.size(); ++i) buckets[i] += other.buckets[i];
  sum_seconds += other.sum_seconds;
}

void TimingStats::Add(const TimingStats& other) {
  connect.Add(other.connect);
  first_byte.Add(other.first_byte);
  total.Add(other.total);
}

}  // namespace pando::proxy
