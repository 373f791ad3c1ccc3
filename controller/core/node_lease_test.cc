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

TEST(NodeLeaseTest, AgentsSpeakOftenEnoughToMissSomeWords) {
  EXPECT_EQ(HeartbeatInterval(seconds(2)), Millis{500});
  EXPECT_EQ(HeartbeatInterval(seconds(1)), Millis{250});
  EXPECT_EQ(HeartbeatInterval(Millis{10}), Millis{100});
  EXPECT_EQ(HeartbeatInterval(std::chrono::minutes(1)), Millis{1'000});
}

}  // namespace
}  // namespace pando::controller
