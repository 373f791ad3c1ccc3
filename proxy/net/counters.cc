#include "proxy/net/counters.h"

#include <bit>

namespace pando::proxy {
namespace {

// In microseconds; LatencyBounds() says the same in seconds.
constexpr std::array<uint64_t, kLatencyBuckets - 1> kBoundMicros = {
    250,     500,     1'000,     2'500,     5'000,     10'000,     25'000,     50'000,    100'000,
    250'000, 500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000, 30'000'000, 60'000'000};

constexpr size_t BucketOf(uint64_t micros) {
  size_t bucket = 0;
  while (bucket < kBoundMicros.size() && micros > kBoundMicros[bucket]) ++bucket;
  return bucket;
}

// The bucket of the smallest number of so many bits: where the search begins, so that it is a step
// or two.
constexpr auto kFirstBucket = [] {
  std::array<uint8_t, 65> first{};
  for (size_t bits = 1; bits < first.size(); ++bits) {
    first[bits] = static_cast<uint8_t>(BucketOf(uint64_t{1} << (bits - 1)));
  }
  return first;
}();

}  // namespace

void Histogram::Record(std::chrono::nanoseconds elapsed) {
  const uint64_t micros = elapsed.count() <= 0 ? 0 : static_cast<uint64_t>(elapsed.count()) / 1'000;
  size_t bucket = kFirstBucket[static_cast<size_t>(std::bit_width(micros))];
  while (bucket < kBoundMicros.size() && micros > kBoundMicros[bucket]) ++bucket;
  buckets[bucket].Add();
  sum_micros.Add(micros);
}

void Histogram::Add(const Histogram& other) {
  for (size_t i = 0; i < buckets.size(); ++i) buckets[i].Add(other.buckets[i].value());
  sum_micros.Add(other.sum_micros.value());
}

void TimingCounters::Add(const TimingCounters& other) {
  connect.Add(other.connect);
  first_byte.Add(other.first_byte);
  total.Add(other.total);
}

void InstanceCounters::Add(const InstanceCounters& other) {
  for (size_t i = 0; i < responses_by_class.size(); ++i) {
    responses_by_class[i].Add(other.responses_by_class[i].value());
  }
  failures.Add(other.failures.value());
  ejections.Add(other.ejections.value());
  request_bytes.Add(other.request_bytes.value());
  response_bytes.Add(other.response_bytes.value());
  timing.Add(other.timing);
}

}  // namespace pando::proxy
