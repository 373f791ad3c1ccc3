// How durations, times and sizes are written for people, and how durations are read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/time.h"

namespace pando::ctl {

// How long a command took: "0.04 s", "1.9 s", "42 s", "2 min 5 s".
std::string FormatElapsed(Millis elapsed);

// How old something is, in its largest unit: "45s", "4m", "3h", "2d"; "-" when negative (unknown).
std::string FormatAge(int64_t millis);

// The same below a minute with tenths, for heartbeats: "0.4s", "12.0s", "4m".
std::string FormatShortAge(int64_t millis);

// A latency or the like, in the unit that suits it: "0.35ms", "5.2ms", "120ms", "1.25s".
std::string FormatLatency(double seconds);

// "0.25", "12.3", "4321": three digits, or all before the point.
std::string FormatRate(double per_second);

// Numbers as a row of bars, the largest (or `least_top`) being the tallest; one character each.
std::string Sparkline(const std::vector<double>& values, double least_top = 0);

// "512M", "1.5G", "0".
std::string FormatBytes(uint64_t bytes);

// Thousandths of a CPU as CPUs: "0.5", "4".
std::string FormatCpus(uint32_t millis);

// "10:02:11.204" and "2026-11-23 10:02:11.204".
std::string FormatClock(int64_t unix_millis, absl::TimeZone zone);
std::string FormatDateTime(int64_t unix_millis, absl::TimeZone zone);

// "500ms", "30s", "5m", "1h30m"; a bare number is seconds. Only positive durations. The error names
// the value and what is allowed.
absl::StatusOr<Millis> ParseDuration(std::string_view text);

}  // namespace pando::ctl
