// What proxies saw of two releases of one app -> does it speak against the new one? Pure.
//
// Errors: the new release is bad when even the favourable reading of its figures (the lower bound
// of the 95 % confidence interval) is worse than the old one's share by the margin - so that one
// failure of twenty requests is no verdict, and twenty of twenty are.
// Latency: likewise, when more than one in a hundred requests of the new release take longer than
// the old one's p99 allows for, as far as the classes of the histogram can tell.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "controller/core/strategy.h"

namespace pando::controller {

// Upper bounds in milliseconds of the latency classes proxies report; the last has none.
inline constexpr std::array<uint32_t, 13> kLatencyBoundsMs = {1,   3,   5,    10,   25,   50,   100,
                                                              250, 500, 1000, 2500, 5000, 10000};

// Of one release, or of one report about one instance.
struct Load {
  uint64_t requests = 0;  // answered or failed
  uint64_t errors = 0;    // 5xx answers and requests the instance did not answer at all
  std::array<uint64_t, kLatencyBoundsMs.size() + 1> latency{};

  Load& operator+=(const Load& other);
  bool operator==(const Load&) const = default;
};

// The upper bound of the class in which the 99th percentile lies; nullopt without a measurement, or
// above the last bound.
std::optional<uint32_t> P99Ms(const Load& load);

// Whether any figure of `now` is more than that of `before` by over a quarter. Of what is kept
// whenever this is so, a fifth at most is ever lost, for few writes.
bool IsMuchMore(const Load& now, const Load& before);

// Lower bound of the 95 % Wilson interval for `part` of `whole`.
double LowerBound(uint64_t part, uint64_t whole);

// Why the new release should go, with the numbers: "errors 31.0% of 240 requests (r1: 0.1% of
// 960)"; nullopt: nothing speaks against it, or too little is known.
std::optional<std::string> JudgeEvidence(const Load& fresh, const Load& old,
                                         const EvidencePolicy& policy, const std::string& old_name);

}  // namespace pando::controller
