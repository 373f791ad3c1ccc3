// What a node's silence means. Pure.
//
// Two clocks: traffic leaves a silent node soon (suspect), its instances are replaced later (lost).
// When most of the fleet is silent at once the controller suspects itself instead: see
// mass_loss.h.
#pragma once

#include <algorithm>

#include "common/base/time.h"

namespace pando::controller {

struct LeasePolicy {
  Millis suspect_after{2'000};
  Millis lost_after{5'000};
};

// A node is suspect from this instant on, unless it is heard before.
inline Instant SuspectAt(const LeasePolicy& policy, Instant last_heard) {
  return last_heard + policy.suspect_after;
}

// A suspect node is lost from this instant on. It stays suspect for the difference of the two
// clocks in any case: after a pause of the controller itself all nodes look silent for long, and
// their messages are still waiting to be read.
inline Instant LostAt(const LeasePolicy& policy, Instant last_heard, Instant suspect_since) {
  const Instant by_silence = last_heard + policy.lost_after;
  const Instant by_suspicion = suspect_since + (policy.lost_after - policy.suspect_after);
  return by_silence > by_suspicion ? by_silence : by_suspicion;
}

// How often agents have to speak: three words in a row may be late or lost before one is suspected.
inline Millis HeartbeatInterval(Millis suspect_after) {
  return std::clamp(suspect_after / 4, Millis{100}, Millis{1'000});
}

}  // namespace pando::controller
