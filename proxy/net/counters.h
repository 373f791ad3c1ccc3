// One worker's counters. Written by the worker alone, read by anybody: a plain increment on the
// request path, and no data race at scrape.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace pando::proxy {

class Counter {
 public:
  void Add(uint64_t count = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  }
  void Subtract(uint64_t count) { Add(~count + 1); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

inline constexpr size_t kLatencyBuckets = 18;  // the last one has no upper bound

struct Histogram {
  std::array<Counter, kLatencyBuckets> buckets;
  Counter sum_micros;

  void Record(std::chrono::nanoseconds elapsed);
  void Add(const Histogram& other);
};

struct TimingCounters {
  Histogram connect;
  Histogram first_byte;
  Histogram total;

  void Add(const TimingCounters& other);
};

// What one worker has seen of one instance; see InstanceStats.
struct InstanceCounters {
  explicit InstanceCounters(std::string of = {}) : name(std::move(of)) {}

  const std::string name;
  std::array<Counter, 6> responses_by_class;
  Counter failures;
  Counter ejections;
  Counter request_bytes;
  Counter response_bytes;
  TimingCounters timing;

  void Add(const InstanceCounters& other);
};

// For whoever lets requests wait; see QueueStats.
struct QueueCounters {
  Counter waiting;
  Counter queued;
  Counter full;
  Counter timeouts;
  Counter abandoned;
  Histogram wait;
};

struct TlsCounters {
  Counter handshakes;
  Counter resumed;   // of those
  Counter failures;  // clients that said something, but not enough
};

struct ClusterCounters {
  std::array<Counter, 6> responses_by_class;  // of requests no instance answered
  Histogram total;                            // likewise
  Counter retries;
  Counter no_endpoint;
  Counter upstream_failures;
  Counter cut_responses;
  Counter connects;
  Counter connect_failures;
  QueueCounters queue;
  InstanceCounters departed;  // the sum over the instances that are gone
};

}  // namespace pando::proxy
