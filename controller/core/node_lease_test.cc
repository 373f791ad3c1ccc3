#include "controller/core/node_lease.h"

#include <gtest/gtest.h>

#include <string>

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

TEST(NodeLeaseTest, AShortFreezeOnlyStopsTheClock) {
  const LeasePolicy policy{seconds(2), seconds(5)};
  const Instant start{seconds(100)};
  struct Case {
    std::string name;
    int suspect, frozen, now;  // seconds after the start
    int want;
  };
  const Case cases[] = {
      {"suspect before it", 3, 5, 6, 4},
      {"suspect in it", 5, 4, 5, 5},
      {"as long as a suspicion: all of it again", 3, 5, 7, 7},
      {"a minute", 3, 5, 65, 65},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(SuspectSinceAfterFreeze(policy, start + seconds(c.suspect), start + seconds(c.frozen),
                                      start + seconds(c.now)),
              start + seconds(c.want));
  }
}

TEST(NodeLeaseTest, AgentsSpeakOftenEnoughToMissSomeWords) {
  EXPECT_EQ(HeartbeatInterval(seconds(2)), Millis{500});
  EXPECT_EQ(HeartbeatInterval(seconds(1)), Millis{250});
  EXPECT_EQ(HeartbeatInterval(Millis{10}), Millis{100});
  EXPECT_EQ(HeartbeatInterval(std::chrono::minutes(1)), Millis{1'000});
}

}  // namespace
}  // namespace pando::controller
