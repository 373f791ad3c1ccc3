// One app: what is wanted and what there is -> what to change. Pure.
//
// Every slot 1..replicas gets one assignment of the current revision. An older one of the slot
// serves until the new one is available. Only replacing what serves is limited (surge): slots in
// which nothing serves are filled at once.
#pragma once

#include <cstdint>
#include <vector>

#include "controller/core/model.h"

namespace pando::controller {

struct Desired {
  uint32_t replicas = 0;  // 0 for a stopped app or one being removed
  uint32_t revision = 0;
  uint32_t surge = 1;  // slots in which a new one may start beside one that serves
};

struct AssignmentView {
  AssignmentId id;
  uint32_t slot = 0;
  uint32_t revision = 0;
  Wish wish = Wish::kRun;
  bool serving = false;    // proxies may pick it, or it is not known that they may not
  bool available = false;  // ready, and every live proxy acknowledged it
  bool lost = false;       // its node is lost
  bool leaving = false;    // another node is to take it over, see moves.h
  bool evicted = false;    // is to go even if nothing takes it over

  // As one with another of the same slot and revision: together they serve as well as the better.
  void Join(const AssignmentView& other) {
    serving |= other.serving;
    available |= other.available;
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

uint32_t SurgeLimit(uint32_t replicas, uint32_t surge_percent);

Changes Reconcile(const Desired& desired, const std::vector<AssignmentView>& assignments);

}  // namespace pando::controller
