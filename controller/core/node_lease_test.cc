#include "controller/core/node_lease.h"

#include <gtest/gtest.h>

namespace pando::controller {
namespace {

using std::chrono::seconds;

TEST(NodeLeaseTest, TwoClocks) {
  const LeasePolicy policy{seconds(2), seconds(5)};
  const Instant heard{seconds(100)};
  EXPECT_EQ(SuspectAt(policy, heard), heard + seconds(2));
  EXPECT_EQ(LostAt(policy, heard, heard + seconds(2)), heard + seconds(5));
  // The controller itself slept for a minute: what it sees first is suspicion, not loss.
  EXPECT_EQ(LostAt(policy, heard, heard + seconds(60)), heard + seconds(63));
}

TEST(NodeLeaseTest, FreezesWhenMostAreSilent) {
  struct Case {
    size_t silent, counted;
    bool want;
  };
  const Case cases[] = {{0, 0, false}, {0, 3, false},  {1, 1, true}, {1, 2, false},
                        {2, 2, true},  {1, 3, false},  {2, 3, true}, {2, 4, false},
                        {3, 4, true},  {5, 10, false}, {6, 10, true}};
  for (const Case& c : cases) {
    EXPECT_EQ(ShouldFreeze(c.silent, c.counted), c.want) << c.silent << " of " << c.counted;
  }
}

}  // namespace
}  // namespace pando::controller
