// What `ctl bench` is asked to do, and what came of it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "ctl/latency_histogram.h"

namespace pando::ctl {

struct BenchUrl {
  std::string host;  // as given, without brackets
  uint16_t port = 80;
  std::string target;  // path and query
};

// "http://host[:port][/path]". The error names the URL and what is allowed.
absl::StatusOr<BenchUrl> ParseBenchUrl(const std::string& url);

struct BenchPlan {
  static constexpr double kMaxRate = 100'000;
  static constexpr uint32_t kMaxConnections = 10'000;
  static constexpr Millis kMaxDuration{3'600'000};

  BenchUrl url;
  std::string method = "GET";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  double rate = 50;  // requests a second
  Millis duration{10'000};
  uint32_t connections = 10;
  Millis timeout{10'000};  // of one request, from its start

  // How many requests become due.
  uint64_t requests() const;
  // When the request of this number, counted from 0, is due after the start.
  std::chrono::nanoseconds DueAfter(uint64_t number) const;
  // How many are due at `elapsed`.
  uint64_t DueAt(std::chrono::nanoseconds elapsed) const;
};

// Names the flag, the value and what is allowed.
absl::Status CheckBenchPlan(const BenchPlan& plan);

struct BenchResult {
  uint64_t due = 0;
  uint64_t answered = 0;
  std::map<unsigned, uint64_t> by_status;
  std::map<std::string, uint64_t> errors;  // by what went wrong
  // From the moment the request was due, not from when a connection was free for it: what waits
  // behind a slow answer counts as slow, too.
  LatencyHistogram latency;
  // How long due requests waited for a free connection.
  std::chrono::nanoseconds longest_wait{0};
  uint64_t connects = 0;
  Millis elapsed{0};

  // Without an answer, or with a 5xx.
  uint64_t failed() const;
};

std::string BenchText(const BenchPlan& plan, const BenchResult& result, bool color);
std::string BenchJson(const BenchPlan& plan, const BenchResult& result);

}  // namespace pando::ctl
