// All instances of a node as one state machine: orders, process events, probe results and time in;
// actions out. No clock, thread, process or socket: `now` and randomness are arguments, the same
// calls give the same actions. Work grows with what changes, not with the number of instances.
//
// The caller carries out the actions in order, feeds back what they ask for, and calls Tick at
// NextWake (later is fine, earlier does nothing).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "agent/core/assignment.h"
#include "agent/core/instance.h"
#include "common/base/ids.h"
#include "common/base/time.h"

namespace pando::agent {

class Supervisor {
 public:
  // Draws a number in [0, 1).
  using Random = std::function<double()>;
  explicit Supervisor(Random random) : random_(std::move(random)) {}
  Supervisor(Supervisor&&) = default;
  Supervisor& operator=(Supervisor&&) = default;

  // An instance an earlier life of the agent left behind. The next SetOrders, or Halt, which have
  // not heard of it before, decide: it is kept running or started again, or it is stopped.
  void Adopt(Assignment assignment, const Remains& remains, Instant now);

  // Everything the node has to run: starts what is missing, stops what is not in the list.
  void SetOrders(std::vector<Assignment> wanted, Instant now, Actions& actions);
  // Stops every process and starts none any more. Orders keep their meaning, nothing is Gone that
  // is wanted.
  void Halt(Instant now, Actions& actions);
  // Events of an unknown assignment or an earlier incarnation change nothing.
  void On(const AssignmentId& id, const InstanceEvent& event, Instant now, Actions& actions);
  void Tick(Instant now, Actions& actions);
  std::optional<Instant> NextWake() const;

  const Assignment* Find(const AssignmentId& id) const;
  // Of all instances there are, wanted or not.
  std::vector<const Assignment*> Assignments() const;
  std::optional<InstanceStatus> StatusOf(const AssignmentId& id) const;
  std::vector<InstanceStatus> Statuses() const;
  // Nothing runs.
  bool idle() const;

 private:
  struct Entry {
    Instance instance;
    uint64_t number;                             // no other has it
    std::optional<Instant> wake = std::nullopt;  // as in wakes_
  };
  using Entries = std::map<AssignmentId, Entry>;

  std::pair<Entries::iterator, bool> Add(Assignment assignment);
  // After every change of an instance: reports, deletes, keeps wakes_ right.
  void Settle(Entries::iterator entry, Actions& actions);

  Random random_;
  Entries entries_;
  uint64_t last_number_ = 0;
  // By the entry's number, not its id: many wake at one time, and ids are compared slowly.
  std::map<std::pair<Instant, uint64_t>, Entries::iterator> wakes_;
  bool halted_ = false;
};

}  // namespace pando::agent
