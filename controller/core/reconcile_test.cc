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
          .proven = kind == kAvailable,
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

TEST(ReconcileTest, HoldsAStepAndKeepsWithinTheLimits) {
  struct Case {
    std::string name;
    Desired desired;
    std::vector<AssignmentView> views;
    std::vector<std::pair<uint32_t, uint32_t>> place;  // slot, revision
    Ids retire;
  };
  const AssignmentView old1 = View("a", 1, 1, kAvailable), old2 = View("b", 2, 1, kAvailable),
                       old3 = View("c", 3, 1, kAvailable);
  const Case cases[] = {
      {"a step starts only its slots",
       {.replicas = 3, .revision = 2, .surge = 3, .stable = 1, .slots = 2, .hold = true},
       {old1, old2, old3},
       {{1, 2}, {2, 2}},
       {}},
      {"the old one goes on serving while the step lasts",
       {.replicas = 2, .revision = 2, .surge = 1, .stable = 1, .slots = 1, .hold = true},
       {old1, View("A", 1, 2, kAvailable), old2},
       {},
       {}},
      {"after the step it does not, and the next slot follows",
       {.replicas = 2, .revision = 2, .surge = 1, .stable = 1},
       {old1, View("A", 1, 2, kAvailable), old2},
       {{2, 2}},
       {"a"}},
      {"a slot beyond the step in which nothing serves gets the stable one",
       {.replicas = 3, .revision = 2, .surge = 1, .stable = 1, .slots = 1, .hold = true},
       {old1, View("A", 1, 2, kAvailable), old2},
       {{3, 1}},
       {}},
      {"which is left to start",
       {.replicas = 2, .revision = 2, .surge = 1, .stable = 1, .slots = 1, .hold = true},
       {old1, View("A", 1, 2, kStarts), View("b", 2, 1, kStarts)},
       {},
       {}},
      {"a lost new one of the step is placed anew",
       {.replicas = 2, .revision = 2, .surge = 1, .stable = 1, .slots = 1, .hold = true},
       {old1, View("A", 1, 2, kLost), old2},
       {{1, 2}},
       {}},
      {"paused: nothing more is replaced",
       {.replicas = 3, .revision = 2, .surge = 3, .stable = 1, .paused = true},
       {old1, View("A", 1, 2, kAvailable), old2, old3},
       {},
       {"a"}},
      {"paused: an empty slot gets the stable one",
       {.replicas = 2, .revision = 2, .surge = 3, .stable = 1, .paused = true},
       {View("A", 1, 2, kAvailable)},
       {{2, 1}},
       {}},
      {"unavailable instead of surge: the old one goes first",
       {.replicas = 3, .revision = 2, .surge = 0, .unavailable = 1, .stable = 1},
       {old1, old2, old3},
       {{1, 2}},
       {"a"}},
      {"and the next only when the new one is there",
       {.replicas = 3, .revision = 2, .surge = 0, .unavailable = 1, .stable = 1},
       {View("A", 1, 2, kServes), old2, old3},
       {},
       {}},
      {"both limits are used",
       {.replicas = 3, .revision = 2, .surge = 1, .unavailable = 1, .stable = 1},
       {old1, old2, old3},
       {{1, 2}, {2, 2}},
       {"b"}},
      {"what is missing by itself counts",
       {.replicas = 3, .revision = 2, .surge = 0, .unavailable = 1, .stable = 1},
       {View("a", 1, 1, kServes), old2, old3},
       {},
       {}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const Changes got = Reconcile(c.desired, c.views);
    std::vector<std::pair<uint32_t, uint32_t>> places;
    for (const Placing& placing : got.place) places.emplace_back(placing.slot, placing.revision);
    EXPECT_EQ(places, c.place);
    EXPECT_EQ(Names(got.retire), c.retire);
  }
}

TEST(ReconcileTest, AvailableIsNotYetProven) {
  AssignmentView fresh = View("A", 1, 2, kAvailable);
  fresh.proven = false;
  const std::vector<AssignmentView> views = {View("a", 1, 1, kAvailable), fresh};
  EXPECT_EQ(Reconcile({.replicas = 1, .revision = 2, .stable = 1}, views), Changes{});
}

}  // namespace
}  // namespace pando::controller
