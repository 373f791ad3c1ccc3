#include "controller/core/moves.h"

#include <gmock/gmock.h>

namespace pando::controller {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

enum Kind { kStarts, kServes, kAvailable };

AssignmentView View(const std::string& id, uint32_t slot, Kind kind, bool leaving = false) {
  return {.id = AssignmentId{id},
          .slot = slot,
          .revision = 1,
          .serving = kind != kStarts,
          .available = kind == kAvailable,
          .leaving = leaving};
}

std::vector<std::string> Ids(const std::vector<AssignmentId>& ids) {
  std::vector<std::string> names;
  for (const AssignmentId& id : ids) names.push_back(id.value);
  return names;
}

std::vector<uint32_t> Slots(const std::vector<Placing>& placings) {
  std::vector<uint32_t> slots;
  for (const Placing& placing : placings) slots.push_back(placing.slot);
  return slots;
}

TEST(MovesTest, OneThatLeavesServesUntilAnotherIsAvailable) {
  struct Case {
    std::string name;
    std::vector<AssignmentView> views;
    std::vector<uint32_t> place;
    std::vector<std::string> retire;
  };
  std::vector<AssignmentView> evicted = {View("a", 1, kAvailable, true)};
  evicted[0].evicted = true;
  const Case cases[] = {
      {"nothing leaves", {View("a", 1, kAvailable), View("b", 2, kStarts)}, {}, {}},
      {"it leaves", {View("a", 1, kAvailable, true)}, {1}, {}},
      {"the new one starts", {View("a", 1, kAvailable, true), View("b", 1, kStarts)}, {}, {}},
      {"the new one is not everywhere yet",
       {View("a", 1, kAvailable, true), View("b", 1, kServes)},
       {},
       {}},
      {"the new one is available",
       {View("a", 1, kAvailable, true), View("b", 1, kAvailable)},
       {},
       {"a"}},
      {"it serves nobody: no need to wait",
       {View("a", 1, kStarts, true), View("b", 1, kStarts)},
       {},
       {"a"}},
      {"it serves nobody and has no successor: stays until there is one",
       {View("a", 1, kStarts, true)},
       {1},
       {}},
      {"given up before the new one served",
       {View("a", 1, kAvailable), View("b", 1, kStarts)},
       {},
       {"b"}},
      {"given up when both are available",
       {View("b", 1, kAvailable), View("a", 1, kAvailable)},
       {},
       {"b"}},
      {"evicted: Reconcile fills the slot when it can", evicted, {}, {"a"}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const Moves moves(c.views);
    const Changes changes = moves.Plan({}, 1);
    EXPECT_EQ(Slots(changes.place), c.place);
    EXPECT_EQ(Ids(changes.retire), c.retire);
  }
}

TEST(MovesTest, ReconcileSeesOneOfEachSlotAndRevision) {
  AssignmentView lost = View("c", 1, kAvailable);
  lost.lost = true;
  AssignmentView drained = View("d", 1, kServes);
  drained.wish = Wish::kDrain;
  const Moves moves({View("a", 1, kServes, true), View("b", 1, kAvailable), lost, drained,
                     View("e", 2, kStarts)});
  ASSERT_EQ(moves.merged().size(), 4u);
  EXPECT_EQ(moves.merged()[0].id.value, "a");
  EXPECT_TRUE(moves.merged()[0].available);
  Changes retires;
  retires.retire = {AssignmentId{"a"}};
  EXPECT_THAT(Ids(moves.Plan(retires, 1).retire), UnorderedElementsAre("a", "b"));
}

TEST(MovesTest, TheBudgetCountsWhatIsUnderWay) {
  const std::vector<AssignmentView> views = {
      View("a", 1, kAvailable, true), View("b", 2, kAvailable, true), View("b2", 2, kStarts),
      View("c", 3, kAvailable, true), View("d", 4, kStarts, true)};
  EXPECT_THAT(Slots(Moves(views).Plan({}, 1).place), ElementsAre(4));
  EXPECT_THAT(Slots(Moves(views).Plan({}, 2).place), ElementsAre(1, 4));
  EXPECT_THAT(Slots(Moves(views).Plan({}, 9).place), ElementsAre(1, 3, 4));
  EXPECT_THAT(Moves(views).Plan({}, 9).retire, IsEmpty());
}

}  // namespace
}  // namespace pando::controller
