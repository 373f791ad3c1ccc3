#include "controller/core/reconcile.h"

#include <algorithm>
#include <map>

namespace pando::controller {
namespace {

struct Slot {
  std::vector<const AssignmentView*> current;
  std::vector<const AssignmentView*> older;
  std::vector<const AssignmentView*> lost;  // wanted, but on lost nodes
};

bool AnyAvailable(const std::vector<const AssignmentView*>& views) {
  return std::any_of(views.begin(), views.end(),
                     [](const AssignmentView* view) { return view->available; });
}

// The older one that keeps serving while the new one starts; the rest of `older` is retired.
// Returns whether any is kept.
bool KeepServing(const std::vector<const AssignmentView*>& older, Changes& changes) {
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

std::vector<AssignmentId> Ids(const std::vector<const AssignmentView*>& views) {
  std::vector<AssignmentId> ids;
  for (const AssignmentView* view : views) ids.push_back(view->id);
  return ids;
}

}  // namespace

uint32_t SurgeLimit(uint32_t replicas, uint32_t surge_percent) {
  const uint64_t share = (uint64_t{replicas} * surge_percent + 99) / 100;
  return static_cast<uint32_t>(std::max<uint64_t>(1, share));
}

Changes Reconcile(const Desired& desired, const std::vector<AssignmentView>& assignments) {
  Changes changes;
  std::map<uint32_t, Slot> slots;
  for (const AssignmentView& view : assignments) {
    const bool wanted = view.wish == Wish::kRun && view.slot <= desired.replicas;
    if (view.lost) {
      if (wanted) {
        slots[view.slot].lost.push_back(&view);
      } else {
        changes.discard.push_back(view.id);
      }
    } else if (wanted) {
      Slot& slot = slots[view.slot];
      (view.revision == desired.revision ? slot.current : slot.older).push_back(&view);
    } else if (view.wish == Wish::kRun) {
      changes.retire.push_back(view.id);
    }
  }

  std::vector<uint32_t> replacing;  // slots that wait for a place beside one that serves
  uint32_t in_progress = 0;
  for (uint32_t number = 1; number <= desired.replicas; ++number) {
    Slot& slot = slots[number];
    if (!slot.current.empty()) {
      for (const AssignmentId& id : Ids(slot.lost)) changes.discard.push_back(id);
      if (AnyAvailable(slot.current)) {
        for (const AssignmentId& id : Ids(slot.older)) changes.retire.push_back(id);
      } else if (KeepServing(slot.older, changes)) {
        ++in_progress;
      }
    } else if (KeepServing(slot.older, changes)) {
      replacing.push_back(number);
    } else {
      changes.place.push_back({number, desired.revision, Ids(slot.lost)});
    }
  }
  for (const uint32_t number : replacing) {
    if (in_progress >= desired.surge) break;
    changes.place.push_back({number, desired.revision, Ids(slots[number].lost)});
    ++in_progress;
  }
  std::sort(changes.place.begin(), changes.place.end(),
            [](const Placing& a, const Placing& b) { return a.slot < b.slot; });
  return changes;
}

}  // namespace pando::controller
