#include "controller/core/reconcile.h"

#include <gmock/gmock.h>

namespace pando::controller {
namespace {

enum Kind { kStarts, kServes, kAvailable, kLost };

AssignmentView View(const std::string& id, uint32_t slot, uint32_t revision, Kind kind,
                    Wish wish = Wish::kRun) {
  return {.id = AssignmentId{id},
          .slot = slot,
          .revision = revision,
          .wish = wish,
          .serving = kind == kServes || kind == kAvailable,
          .available = kind == kAvailable,
          .lost = kind == kLost};
}

std::vector<std::string> Names(const std::vector<AssignmentId>& ids) {
  std::vector<std::string> names;
  for (const AssignmentId& id : ids) names.push_back(id.value);
  return names;
}

using Places = std::vector<uint32_t>;
using Ids = std::vector<std::string>;

TEST(ReconcileTest, BringsEverySlotToTheCurrentRevision) {
  constexpr Wish kDrain = Wish::kDrain, kStop = Wish::kStop;
  struct Case {
    std::string name;
    Desired desired;
    std::vector<AssignmentView> views;
    Places place;
    Ids retire;
    Ids discard;
  };
  const Case cases[] = {
      {"fresh app: all at once", {4, 1, 1}, {}, {1, 2, 3, 4}, {}, {}},
      {"as wanted", {1, 1, 1}, {View("a", 1, 1, kAvailable)}, {}, {}, {}},
      {"not ready yet: wait", {1, 1, 1}, {View("a", 1, 1, kStarts)}, {}, {}, {}},
      {"stopped",
       {0, 1, 1},
       {View("a", 1, 1, kAvailable), View("b", 2, 1, kStarts)},
       {},
       {"a", "b"},
       {}},
      {"scale down: highest slots",
       {1, 1, 1},
       {View("a", 1, 1, kAvailable), View("b", 2, 1, kAvailable), View("c", 3, 1, kStarts)},
       {},
       {"b", "c"},
       {}},
      {"scale up while the slot drains",
       {1, 1, 1},
       {View("a", 1, 1, kServes, kDrain)},
       {1},
       {},
       {}},
      {"stopping ones are left alone", {0, 1, 1}, {View("a", 1, 1, kStarts, kStop)}, {}, {}, {}},
      {"rollout: one at a time",
       {3, 2, 1},
       {View("a", 1, 1, kAvailable), View("b", 2, 1, kAvailable), View("c", 3, 1, kAvailable)},
       {1},
       {},
       {}},
      {"rollout: by the surge",
       {3, 2, 2},
       {View("a", 1, 1, kAvailable), View("b", 2, 1, kAvailable), View("c", 3, 1, kAvailable)},
       {1, 2},
       {},
       {}},
      {"rollout: the new one starts, the old serves",
       {2, 2, 1},
       {View("a", 1, 1, kAvailable), View("A", 1, 2, kStarts), View("b", 2, 1, kAvailable)},
       {},
       {},
       {}},
      {"rollout: served is not yet acknowledged",
       {1, 2, 1},
       {View("a", 1, 1, kAvailable), View("A", 1, 2, kServes)},
       {},
       {},
       {}},
      {"rollout: the new one is available, the next starts",
       {2, 2, 1},
       {View("a", 1, 1, kAvailable), View("A", 1, 2, kAvailable), View("b", 2, 1, kAvailable)},
       {2},
       {"a"},
       {}},
      {"rollout: what serves nobody is replaced without waiting",
       {3, 2, 1},
       {View("a", 1, 1, kStarts), View("b", 2, 1, kStarts), View("c", 3, 1, kAvailable)},
       {1, 2, 3},
       {"a", "b"},
       {}},
      {"rollout over a rollout: the best old one is kept",
       {1, 3, 1},
       {View("a", 1, 1, kAvailable), View("b", 1, 2, kStarts)},
       {1},
       {"b"},
       {}},
      {"rollout over a rollout: both available, the newer is kept",
       {1, 3, 1},
       {View("a", 1, 1, kAvailable), View("b", 1, 2, kAvailable)},
       {1},
       {"a"},
       {}},
      {"rollout over a rollout: none acknowledged, all that serve are kept",
       {1, 3, 1},
       {View("a", 1, 1, kServes), View("b", 1, 2, kServes)},
       {1},
       {},
       {}},
      {"scale up in a rollout: new slots do not wait",
       {4, 2, 1},
       {View("a", 1, 1, kAvailable), View("A", 1, 2, kStarts), View("b", 2, 1, kAvailable)},
       {3, 4},
       {},
       {}},
      {"scale down in a rollout",
       {1, 2, 1},
       {View("a", 1, 1, kAvailable), View("A", 1, 2, kStarts), View("b", 2, 1, kAvailable)},
       {},
       {"b"},
       {}},
      {"lost, not needed: forgotten",
       {0, 1, 1},
       {View("a", 1, 1, kLost), View("b", 2, 1, kLost, kDrain), View("c", 3, 1, kLost, kStop)},
       {},
       {},
       {"a", "b", "c"}},
      {"lost, but its replacement is there",
       {1, 2, 1},
       {View("a", 1, 1, kLost), View("A", 1, 2, kStarts)},
       {},
       {},
       {"a"}},
      {"lost, to be replaced", {1, 1, 1}, {View("a", 1, 1, kLost)}, {1}, {}, {}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const Changes got = Reconcile(c.desired, c.views);
    Places places;
    for (const Placing& placing : got.place) places.push_back(placing.slot);
    EXPECT_EQ(places, c.place);
    EXPECT_EQ(Names(got.retire), c.retire);
    EXPECT_EQ(Names(got.discard), c.discard);
  }
}

TEST(ReconcileTest, AReplacementNamesWhatItReplaces) {
  const Changes got = Reconcile({1, 1, 1}, {View("a", 1, 1, kLost)});
  EXPECT_EQ(got.place, (std::vector<Placing>{{1, 1, {AssignmentId{"a"}}}}));
}

TEST(ReconcileTest, SurgeIsAShareButAtLeastOne) {
  EXPECT_EQ(SurgeLimit(0, 25), 1u);
  EXPECT_EQ(SurgeLimit(4, 25), 1u);
  EXPECT_EQ(SurgeLimit(5, 25), 2u);
  EXPECT_EQ(SurgeLimit(10'000, 25), 2'500u);
  EXPECT_EQ(SurgeLimit(10'000, 0), 1u);
}

}  // namespace
}  // namespace pando::controller
