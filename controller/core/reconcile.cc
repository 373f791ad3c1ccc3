#include "controller/core/reconcile.h"

#include <algorithm>
#include <map>

namespace pando::controller {
namespace {

using Views = std::vector<const AssignmentView*>;

struct Slot {
  Views current;
  Views older;
  Views lost;  // wanted, but on lost nodes
};

void Retire(const Views& views, Changes& changes) {
  for (const AssignmentView* view : views) changes.retire.push_back(view->id);
}

bool AnyAvailable(const Views& views) {
  return std::any_of(views.begin(), views.end(),
                     [](const AssignmentView* view) { return view->available; });
}

bool AnyProven(const Views& views) {
  return std::any_of(views.begin(), views.end(),
                     [](const AssignmentView* view) { return view->proven; });
}

// The older one that keeps serving while the new one starts; the rest of `older` is retired.
// Returns whether any is kept.
bool KeepServing(const Views& older, Changes& changes) {
  // With one that is available the others are not needed; without, every one that may be picked is
  // kept, as nothing says which of them proxies use.
  const AssignmentView* best = nullptr;
  for (const AssignmentView* view : older) {
    if (view->available && (best == nullptr || view->revision > best->revision)) best = view;
  }
  bool kept = false;
  for (const AssignmentView* view : older) {
    const bool keep = best != nullptr ? view == best : view->serving;
    kept |= keep;
    if (!keep) changes.retire.push_back(view->id);
  }
  return kept;
}

std::vector<AssignmentId> Ids(const Views& views) {
  std::vector<AssignmentId> ids;
  for (const AssignmentView* view : views) ids.push_back(view->id);
  return ids;
}

// What is kept in a slot that must not get the current revision now: the stable one, also while it
// starts. Returns whether there is one.
bool KeepStable(const Views& older, uint32_t stable, Changes& changes) {
  const auto is_stable = [&](const AssignmentView* view) { return view->revision == stable; };
  if (std::none_of(older.begin(), older.end(), is_stable)) {
    Retire(older, changes);
    return false;
  }
  for (const AssignmentView* view : older) {
    if (!is_stable(view)) changes.retire.push_back(view->id);
  }
  return true;
}

class Reconciler {
 public:
  Reconciler(const Desired& desired, const std::vector<AssignmentView>& assignments)
      : desired_(desired) {
    for (const AssignmentView& view : assignments) Sort(view);
    for (uint32_t number = 1; number <= desired_.replicas; ++number) {
      if (!slots_[number].current.empty()) ++current_slots_;
    }
    if (desired_.stable == 0) {
      most_current_ = UINT32_MAX;
    } else {
      most_current_ = desired_.paused ? current_slots_ : desired_.slots;
    }
  }

  Changes Run() {
    for (uint32_t number = 1; number <= desired_.replicas; ++number) Decide(number);
    if (!desired_.paused) Replace();
    std::sort(changes_.place.begin(), changes_.place.end(),
              [](const Placing& a, const Placing& b) { return a.slot < b.slot; });
    return std::move(changes_);
  }

 private:
  void Sort(const AssignmentView& view) {
    const bool wanted = view.wish == Wish::kRun && view.slot <= desired_.replicas;
    if (view.lost) {
      if (wanted) {
        slots_[view.slot].lost.push_back(&view);
      } else {
        changes_.discard.push_back(view.id);
      }
    } else if (wanted) {
      Slot& slot = slots_[view.slot];
      (view.revision == desired_.revision ? slot.current : slot.older).push_back(&view);
    } else if (view.wish == Wish::kRun) {
      changes_.retire.push_back(view.id);
    }
  }

  void Decide(uint32_t number) {
    Slot& slot = slots_[number];
    if (!AnyProven(slot.current) && !AnyAvailable(slot.older)) ++unavailable_;
    if (!slot.current.empty()) {
      for (const AssignmentId& id : Ids(slot.lost)) changes_.discard.push_back(id);
      if (AnyProven(slot.current) && !desired_.hold) {
        Retire(slot.older, changes_);
      } else if (KeepServing(slot.older, changes_)) {
        ++in_progress_;
      }
      return;
    }
    const bool serves =
        std::any_of(slot.older.begin(), slot.older.end(),
                    [](const AssignmentView* view) { return view->available || view->serving; });
    if (serves) {
      KeepServing(slot.older, changes_);
      replaceable_.push_back(number);
    } else if (current_slots_ < most_current_) {
      Retire(slot.older, changes_);
      ++current_slots_;
      Place(number, desired_.revision);
    } else if (KeepStable(slot.older, desired_.stable, changes_)) {
      for (const AssignmentId& id : Ids(slot.lost)) changes_.discard.push_back(id);
    } else {
      Place(number, desired_.stable);
    }
  }

  // Slots that serve get the current revision: beside what serves, or instead of it.
  void Replace() {
    for (const uint32_t number : replaceable_) {
      if (current_slots_ >= most_current_) return;
      Slot& slot = slots_[number];
      if (in_progress_ < desired_.surge) {
        ++in_progress_;
        Place(number, desired_.revision);
      } else if (unavailable_ < desired_.unavailable) {
        for (const AssignmentView* view : slot.older) {
          const auto& retired = changes_.retire;
          if (std::find(retired.begin(), retired.end(), view->id) == retired.end()) {
            changes_.retire.push_back(view->id);
          }
        }
        ++unavailable_;
        Place(number, desired_.revision);
      } else {
        return;
      }
      ++current_slots_;
    }
  }

  void Place(uint32_t number, uint32_t revision) {
    changes_.place.push_back({number, revision, Ids(slots_[number].lost)});
  }

  const Desired& desired_;
  std::map<uint32_t, Slot> slots_;
  Changes changes_;
  std::vector<uint32_t> replaceable_;  // slots in which something else serves
  uint32_t current_slots_ = 0;
  uint32_t most_current_ = 0;
  uint32_t in_progress_ = 0;  // slots in which a new one is beside one that serves
  uint32_t unavailable_ = 0;
};

}  // namespace

Changes Reconcile(const Desired& desired, const std::vector<AssignmentView>& assignments) {
  return Reconciler(desired, assignments).Run();
}

}  // namespace pando::controller
