// May an instance that is being drained be told to stop now? Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controller/core/model.h"

namespace pando::controller {

// One live proxy, as far as one draining instance is concerned.
struct DrainProxy {
  ProxyId id;
  uint64_t acked = 0;           // generation of the app's table it runs, at least
  uint64_t tunnels = 0;         // it holds, as it last said
  bool reports_drains = false;  // it tells what is in flight to draining endpoints
  bool reported_empty = false;  // it said: draining, and nothing in flight
};

struct DrainInput {
  // No process, or one that no proxy was ever told of: nothing can be in flight to it.
  bool unused = false;
  // Generation of the first table in which no new request may be sent to it; absent when no such
  // table was published yet.
  std::optional<uint64_t> unpickable_since;
  Instant deadline;
  Instant tunnel_deadline;  // not earlier: the one that holds while tunnels are open
};

enum class DrainResult { kWait, kDone, kTimedOut };

struct DrainVerdict {
  DrainResult result = DrainResult::kWait;
  std::vector<ProxyId> holders;  // who is waited for, or was when the time was over
};

DrainVerdict JudgeDrain(const DrainInput& input, const std::vector<DrainProxy>& live_proxies,
                        Instant now);

}  // namespace pando::controller
