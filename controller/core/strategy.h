// How a release replaces the one before it, as its spec says, and what that means in numbers. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/base/time.h"

namespace pando::controller {

// A count, or a share of the replicas.
struct Amount {
  uint32_t value = 0;
  bool percent = false;
  bool operator==(const Amount&) const = default;
};

// When the proxies' figures speak against a release (see evidence.h).
struct EvidencePolicy {
  uint32_t min_requests = 20;       // answered by the new release, before errors are judged
  double error_margin = 0.01;       // share of errors above that of the old release
  uint32_t latency_requests = 200;  // of both releases, before latencies are compared
  double latency_factor = 2.0;      // p99 above that of the old release by this factor ...
  Millis latency_margin{100};       // ... and by this much
  bool operator==(const EvidencePolicy&) const = default;
};

struct Strategy {
  Amount max_surge{25, true};
  Amount max_unavailable{0, false};
  Millis min_ready{0};  // in rotation for so long before it counts
  Millis progress_deadline{600'000};
  bool auto_rollback = true;
  // How long the first new instances serve beside the old ones before anything is replaced.
  Millis observe{0};
  std::vector<uint32_t> canary_steps;  // percent of the requests, rising; empty: no canary
  Millis canary_interval{60'000};
  bool manual_gate = false;  // a step ends only by `promote`
  bool blue_green = false;   // all new ones first, then all requests at once
  EvidencePolicy evidence;

  bool operator==(const Strategy&) const = default;
};

// How many instances may be there beyond `replicas`, and how many may be missing.
struct RolloutLimits {
  uint32_t surge = 1;
  uint32_t unavailable = 0;
  bool operator==(const RolloutLimits&) const = default;
};

// Shares of surge are rounded up, of unavailable down. Never both zero: a rollout must go on.
RolloutLimits LimitsOf(const Strategy& strategy, uint32_t replicas);

// One stop on the way. The instances it replaces go on serving until the last step is over.
struct RolloutStep {
  uint32_t slots = 0;  // that run the new release
  std::optional<uint32_t> traffic =
      {};           // percent of the requests; absent: as many as its instances get
  Millis dwell{0};  // from when its instances are in rotation
  bool manual = false;
  bool operator==(const RolloutStep&) const = default;
};

// Empty: the new release simply replaces the old one within the limits.
std::vector<RolloutStep> StepsOf(const Strategy& strategy, uint32_t replicas);

}  // namespace pando::controller
