// Takes stock of the instances that an earlier life of the agent left, side by side: what can be
// known at once is told at once, and nobody waits for a shim that does not answer.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "agent/core/assignment.h"
#include "agent/instance_search.h"
#include "common/runtime/event_loop.h"

namespace pando::agent {

// Used on the loop.
class Adoption {
 public:
  struct Handlers {
    std::function<void(Assignment, FoundInstance)> found;  // once for each instance
    // It is not found out after a second, and why; it goes on being looked for.
    std::function<void(const Assignment&, const absl::Status&)> overdue;
    std::function<void()> later;  // after calls of `found` that came later than Begin
  };

  Adoption(EventLoop& loop, Handlers handlers);

  // Tells of it before this returns if it can.
  void Begin(Assignment assignment, const InstanceDir& dir);

  // Those that are not found yet.
  bool Seeks(const AssignmentId& id) const { return open_.contains(id); }
  std::vector<const Assignment*> Sought() const;
  // Some of them are not overdue.
  bool expects_more() const;

 private:
  struct Open {
    Assignment assignment;
    InstanceSearch search;
    Instant patient_until;
    bool overdue = false;
  };

  void LookAgainSoon();
  void LookAgain();
  // False: later.
  bool Look(Open& one);

  EventLoop& loop_;
  Handlers handlers_;
  std::string boot_id_;
  std::map<AssignmentId, Open> open_;
  bool scheduled_ = false;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace pando::agent
