// Instances that are to run elsewhere: their node is drained, or has more than its share. Pure.
//
// What Reconcile decides does not depend on where an instance runs. So it is shown one assignment
// per slot and revision, and here those of one slot and revision are told apart: one that is to
// leave serves until one that stays is available. Moves have a budget of their own.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "controller/core/reconcile.h"

namespace pando::controller {

class Moves {
 public:
  explicit Moves(std::vector<AssignmentView> views);

  // For Reconcile.
  const std::vector<AssignmentView>& merged() const { return merged_; }
  // `changes` as decided on merged(), for all assignments; and the moves, of which `budget` may be
  // under way beside instances that serve.
  Changes Plan(Changes changes, uint32_t budget) const;

 private:
  using Group = std::vector<AssignmentView>;

  static void Move(const Group& group, uint32_t budget, uint32_t& under_way, Changes& changes);

  std::vector<AssignmentView> merged_;
  std::map<AssignmentId, Group> groups_;  // of more than one, or with one that leaves; by merged id
};

}  // namespace pando::controller
