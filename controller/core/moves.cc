#include "controller/core/moves.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

namespace pando::controller {
namespace {

bool AnyAvailable(const std::vector<AssignmentView>& views) {
  return std::any_of(views.begin(), views.end(), [](const auto& view) { return view.available; });
}

bool AnyServing(const std::vector<AssignmentView>& views) {
  return std::any_of(views.begin(), views.end(),
                     [](const auto& view) { return view.available || view.serving; });
}

// The usual case is told quickly: nothing moves.
bool NothingMoves(const std::vector<AssignmentView>& views) {
  std::vector<uint64_t> keys;
  keys.reserve(views.size());
  for (const AssignmentView& view : views) {
    if (view.wish != Wish::kRun || view.lost) continue;
    if (view.leaving || view.evicted) return false;
    keys.push_back(uint64_t{view.slot} << 32 | view.revision);
  }
  std::sort(keys.begin(), keys.end());
  return std::adjacent_find(keys.begin(), keys.end()) == keys.end();
}

}  // namespace

Moves::Moves(std::vector<AssignmentView> views) {
  if (NothingMoves(views)) {
    merged_ = std::move(views);
    return;
  }
  std::map<std::pair<uint32_t, uint32_t>, size_t> index;
  merged_.reserve(views.size());
  for (const AssignmentView& view : views) {
    if (view.wish != Wish::kRun || view.lost) {
      merged_.push_back(view);
      continue;
    }
    const auto [at, added] = index.try_emplace({view.slot, view.revision}, merged_.size());
    if (added) {
      merged_.push_back(view);
      continue;
    }
    merged_[at->second].Join(view);
  }
  for (const AssignmentView& view : views) {
    if (view.wish != Wish::kRun || view.lost) continue;
    groups_[merged_[index.at({view.slot, view.revision})].id].push_back(view);
  }
  std::erase_if(groups_, [](const auto& group) {
    return group.second.size() == 1 && !group.second[0].leaving && !group.second[0].evicted;
  });
}

Changes Moves::Plan(Changes changes, uint32_t budget) const {
  if (groups_.empty()) return changes;
  std::set<AssignmentId> retired(changes.retire.begin(), changes.retire.end());
  for (const AssignmentId& id : retired) {
    const auto group = groups_.find(id);
    if (group == groups_.end()) continue;
    for (const AssignmentView& view : group->second) {
      if (view.id != id) changes.retire.push_back(view.id);
    }
  }
  uint32_t under_way = 0;
  // Those that began come first: the budget is what is left.
  for (const bool begun : {true, false}) {
    for (const auto& [id, group] : groups_) {
      const bool is_begun =
          std::any_of(group.begin(), group.end(), [](const auto& view) { return !view.leaving; });
      if (is_begun != begun || retired.count(id) > 0) continue;
      Move(group, budget, under_way, changes);
    }
  }
  return changes;
}

void Moves::Move(const Group& group, uint32_t budget, uint32_t& under_way, Changes& changes) {
  Group stays, goes;
  for (const AssignmentView& view : group) {
    if (view.evicted) {
      changes.retire.push_back(view.id);
    } else {
      (view.leaving ? goes : stays).push_back(view);
    }
  }
  // A move that was given up leaves two that stay: the better one does.
  std::sort(stays.begin(), stays.end(), [](const auto& a, const auto& b) {
    return std::make_tuple(!a.available, !a.serving, a.id) <
           std::make_tuple(!b.available, !b.serving, b.id);
  });
  while (stays.size() > 1) {
    goes.push_back(stays.back());
    stays.pop_back();
  }
  if (goes.empty()) return;

  const bool replaced = AnyAvailable(stays);
  if (stays.empty() && AnyServing(goes)) {
    if (under_way >= budget) return;
    ++under_way;
    changes.place.push_back({group[0].slot, group[0].revision, {}});
  } else if (stays.empty()) {
    changes.place.push_back({group[0].slot, group[0].revision, {}});
  } else if (!replaced && AnyServing(goes)) {
    ++under_way;
  }
  for (const AssignmentView& view : goes) {
    const bool needed = !replaced && (view.available || view.serving);
    if (!needed && !stays.empty()) changes.retire.push_back(view.id);
  }
}

}  // namespace pando::controller
