// One worker's counters. Written by the worker alone, read by anybody: a plain increment on the
// request path, and no data race at scrape.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "common/base/time.h"
#include "proxy/net/data_plane.h"

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

struct ClusterCounters {
  Counter requests;
  std::array<Counter, 6> responses_by_class;
  Counter retries;
  Counter no_endpoint;
  Counter upstream_failures;
  Counter connects;
  Counter connect_failures;
  std::array<Counter, kLatencyBuckets> latency;
  Counter latency_micros;

  void RecordLatency(std::chrono::nanoseconds elapsed);
};

class WorkerStats {
 public:
  // The same object for the same name, for the worker's life.
  ClusterCounters& ForCluster(const std::string& name);
  // Adds this worker's figures to `sum`. Thread-safe.
  void AddTo(std::map<std::string, ClusterStats>& clusters, DataPlaneStats& sum) const;

  Counter accepted;
  Counter active_connections;
  Counter bad_requests;
  Counter unrouted;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<ClusterCounters>> clusters_;  // the map: by mutex_
};

}  // namespace pando::proxy
