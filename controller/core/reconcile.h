// One app: what is wanted and what there is -> what to change. Pure.
//
// Every slot 1..replicas gets one assignment of the current revision. An older one of the slot
// serves until the new one is proven. Only replacing what serves is limited (surge, unavailable):
// slots in which nothing serves are filled at once. While a rollout is held at a step, only so many
// slots get the current revision; the others keep, or are filled with, the stable one.
#pragma once

#include <cstdint>
#include <vector>

#include "controller/core/model.h"

namespace pando::controller {

struct Desired {
  uint32_t replicas = 0;  // 0 for a stopped app or one being removed
  uint32_t revision = 0;
  uint32_t surge = 1;           // slots in which a new one may start beside one that serves
  uint32_t unavailable = 0;     // slots in which nothing may be available because of the rollout
  uint32_t stable = 0;          // what slots beyond `slots` run; 0: there is none, all are current
  uint32_t slots = UINT32_MAX;  // that may run the current revision now
  bool hold = false;            // older ones go on serving beside those that are proven
  bool paused = false;          // no further slot is replaced
};

struct AssignmentView {
  AssignmentId id;
  uint32_t slot = 0;
  uint32_t revision = 0;
  Wish wish = Wish::kRun;
  bool serving = false;    // proxies may pick it, or it is not known that they may not
  bool available = false;  // ready, and every live proxy acknowledged it
  bool proven = false;     // available for as long as the strategy asks
  bool lost = false;       // its node is lost
  bool leaving = false;    // another node is to take it over, see moves.h
  bool evicted = false;    // is to go even if nothing takes it over

  // As one with another of the same slot and revision: together they serve as well as the better.
  void Join(const AssignmentView& other) {
    serving |= other.serving;
    available |= other.available;
    proven |= other.proven;
  }
};

struct Placing {
  uint32_t slot = 0;
  uint32_t revision = 0;
  // On lost nodes: deleted when (and only when) the new one found a place, so that a node that
  // returns need not start them anew.
  std::vector<AssignmentId> replaces;
  bool operator==(const Placing&) const = default;
};

struct Changes {
  std::vector<Placing> place;         // by slot
  std::vector<AssignmentId> retire;   // drain, then stop
  std::vector<AssignmentId> discard;  // on lost nodes and not needed: forget
  bool operator==(const Changes&) const = default;
};

Changes Reconcile(const Desired& desired, const std::vector<AssignmentView>& assignments);

}  // namespace pando::controller
