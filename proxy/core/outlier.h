// Which instances are passed over for what they answer: several gateway failures (502, 503, 504,
// resets, timeouts) in a row, or a share of errors far above that of the others.
//
// An ejection ends by itself; the next one soon after lasts twice as long. Only a share of the
// instances may be ejected, and when too few are left ejections are ignored: then it is not the
// instances that are at fault. The state is in the endpoints' counters, so all workers share it.
#pragma once

#include <map>
#include <vector>

#include "common/base/time.h"
#include "proxy/core/upstream_table.h"

namespace pando::proxy {

bool IsEjected(const EndpointCounters& counters, Instant now);

// True when `counters`, one of the cluster's endpoints, is ejected with this call.
bool Eject(const Cluster& cluster, EndpointCounters& counters, Instant now);

// After an error of any kind; `gateway_failure` when it was one. True: it was ejected for it.
bool NoteFailure(const Cluster& cluster, EndpointCounters& counters, bool gateway_failure,
                 Instant now);
inline void NoteSuccess(EndpointCounters& counters) {
  // Written only when it changes something: the line is shared by all workers.
  if (counters.consecutive_failures.load(std::memory_order_relaxed) != 0) {
    counters.consecutive_failures.store(0, std::memory_order_relaxed);
  }
}

// Too few endpoints that may be picked are not ejected.
bool InPanic(const Cluster& cluster, Instant now);

// Compares the endpoints' success rates once an interval. Used by one thread.
class SuccessRates {
 public:
  // The endpoints to eject.
  std::vector<EndpointCounters*> Sweep(const Cluster& cluster, Instant now);

 private:
  struct Seen {
    uint64_t answered = 0;
    uint64_t failed = 0;
  };
  std::map<const EndpointCounters*, Seen> seen_;
  Instant next_{};
};

}  // namespace pando::proxy
