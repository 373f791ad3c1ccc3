#include "controller/core/mass_loss.h"

#include <gtest/gtest.h>

namespace pando::controller {
namespace {

TEST(MassLossTest, FreezesWhenMoreThanHalfOfNodesOrInstancesAreSilent) {
  struct Case {
    FleetCount fleet;
    bool freezes;
  };
  const Case cases[] = {
      {{0, 0, 0, 0}, false}, {{3, 1, 9, 3}, false},  {{3, 2, 9, 6}, true},
      {{2, 1, 8, 4}, false}, {{10, 1, 10, 6}, true}, {{10, 6, 10, 1}, true},
      {{1, 1, 1, 1}, true},  {{1, 1, 0, 0}, false},  {{5, 4, 3, 0}, false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(Describe(c.fleet));
    EXPECT_EQ(ShouldFreeze(c.fleet), c.freezes);
  }
  EXPECT_EQ(Describe({3, 2, 9, 4}), "2 of 3 nodes and 4 of 9 instances are silent");
}

TEST(MassLossTest, ProxiesConfirmThatANodeIsGone) {
  const Instant heard{std::chrono::hours{1}};
  const Instant now = heard + Millis{10'000};
  const auto at = [&](int ms) { return heard + Millis{ms}; };
  const Reach nothing, failed{at(3'000), {}}, answered_before{at(3'000), at(500)},
      old_failure{at(-100), {}}, answers{{}, at(9'000)}, answered_since{at(3'000), at(5'000)};
  struct Case {
    std::string name;
    std::vector<Reach> shown;
    bool confirmed;
  };
  const Case cases[] = {
      {"no instance: nothing to know it by", {}, false},
      {"nobody tried", {nothing, nothing}, false},
      {"the only one fails", {failed}, true},
      {"one of two fails, the other is not tried", {failed, nothing}, true},
      {"one of many is not enough", {failed, nothing, nothing}, false},
      {"two of many are", {failed, nothing, answered_before, nothing}, true},
      {"one that still answers speaks for all", {failed, failed, answers}, false},
      {"failures from before the silence do not count", {old_failure}, false},
      {"it answered since, and is quiet now", {answered_since}, false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(ConfirmsLoss(c.shown, heard, now), c.confirmed);
  }
  EXPECT_FALSE(ConfirmsLoss({answered_before}, heard, at(500 + 1'999)));  // not quiet for long yet
  EXPECT_FALSE(ConfirmsLoss({answered_before}, heard, at(2'400)));
}

}  // namespace
}  // namespace pando::controller
