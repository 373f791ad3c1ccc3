#include "controller/core/evidence.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace pando::controller {
namespace {

constexpr double kSlowShare = 0.01;  // what p99 leaves out

double Share(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

uint64_t Measured(const Load& load) {
  return std::accumulate(load.latency.begin(), load.latency.end(), uint64_t{0});
}

std::string LatencyText(std::optional<uint32_t> ms) {
  return ms ? absl::StrCat("up to ", *ms, " ms")
            : absl::StrCat("over ", kLatencyBoundsMs.back(), " ms");
}

}  // namespace

Load& Load::operator+=(const Load& other) {
  requests += other.requests;
  errors += other.errors;
  for (size_t i = 0; i < latency.size(); ++i) latency[i] += other.latency[i];
  return *this;
}

std::optional<uint32_t> P99Ms(const Load& load) {
  const uint64_t measured = Measured(load);
  if (measured == 0) return std::nullopt;
  const uint64_t rank = (measured * 99 + 99) / 100;
  uint64_t seen = 0;
  for (size_t i = 0; i < kLatencyBoundsMs.size(); ++i) {
    seen += load.latency[i];
    if (seen >= rank) return kLatencyBoundsMs[i];
  }
  return std::nullopt;
}

bool IsMuchMore(const Load& now, const Load& before) {
  const auto much = [](uint64_t more, uint64_t less) { return more > less + less / 4; };
  if (much(now.requests, before.requests) || much(now.errors, before.errors)) return true;
  for (size_t i = 0; i < now.latency.size(); ++i) {
    if (much(now.latency[i], before.latency[i])) return true;
  }
  return false;
}

double LowerBound(uint64_t part, uint64_t whole) {
  if (whole == 0) return 0;
  constexpr double kZ = 1.96;
  const double n = static_cast<double>(whole);
  const double p = Share(part, whole);
  const double centre = p + kZ * kZ / (2 * n);
  const double spread = kZ * std::sqrt((p * (1 - p) + kZ * kZ / (4 * n)) / n);
  return std::max(0.0, (centre - spread) / (1 + kZ * kZ / n));
}

std::optional<std::string> JudgeEvidence(const Load& fresh, const Load& old,
                                         const EvidencePolicy& policy,
                                         const std::string& old_name) {
  const double before = Share(old.errors, old.requests);
  if (fresh.requests >= policy.min_requests &&
      LowerBound(fresh.errors, fresh.requests) > before + policy.error_margin) {
    return absl::StrFormat("errors %.1f%% of %d requests (%s: %.1f%% of %d)",
                           100 * Share(fresh.errors, fresh.requests), fresh.requests, old_name,
                           100 * before, old.requests);
  }
  if (Measured(fresh) < policy.latency_requests || Measured(old) < policy.latency_requests) {
    return std::nullopt;
  }
  const std::optional<uint32_t> usual = P99Ms(old);
  if (!usual) return std::nullopt;  // the old one is beyond measure itself
  const double limit = std::max(*usual * policy.latency_factor,
                                *usual + static_cast<double>(policy.latency_margin.count()));
  // Only classes that lie above the limit as a whole: of the one it falls into nothing is sure.
  uint64_t slow = 0;
  for (size_t i = 0; i < kLatencyBoundsMs.size(); ++i) {
    if (kLatencyBoundsMs[i] >= limit) slow += fresh.latency[i + 1];
  }
  if (LowerBound(slow, Measured(fresh)) <= kSlowShare) return std::nullopt;
  return absl::StrFormat("p99 %s of %d requests (%s: %s of %d)", LatencyText(P99Ms(fresh)),
                         Measured(fresh), old_name, LatencyText(usual), Measured(old));
}

}  // namespace pando::controller
