#include "controller/service/timeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pando::controller {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

v1::EventRecord Event(uint64_t sequence) {
  v1::EventRecord event;
  event.set_sequence(sequence);
  return event;
}

TEST(TimelineTest, KeepsTheNewestInOrder) {
  Timeline timeline({Event(3), Event(1), Event(2)}, 3);
  timeline.Add(Event(7));
  ASSERT_EQ(timeline.events().size(), 3u);
  EXPECT_EQ(timeline.events().front().sequence(), 2u);
  EXPECT_EQ(timeline.At(0)->sequence(), 2u);
  EXPECT_EQ(timeline.At(4)->sequence(), 7u);
  EXPECT_EQ(timeline.At(8), nullptr);
}

TEST(TimelineTest, TheOldAreForgotten) {
  std::vector<v1::EventRecord> events;
  for (const int64_t second : {10, 20, 30}) {
    events.push_back(Event(static_cast<uint64_t>(second)));
    events.back().set_time_unix_ms(second * 1'000);
  }
  Timeline timeline(events, 10);
  EXPECT_THAT(timeline.DropBefore(10'000), IsEmpty());
  EXPECT_THAT(timeline.DropBefore(20'001), ElementsAre(10u, 20u));
  EXPECT_EQ(timeline.At(0)->sequence(), 30u);
  EXPECT_THAT(timeline.DropBefore(99'000), ElementsAre(30u));
  EXPECT_EQ(timeline.At(0), nullptr);
}

TEST(TimelineTest, FollowersMayEndThemselves) {
  Timeline timeline({}, 10);
  int first = 0, second = 0;
  uint64_t id = 0;
  id = timeline.Follow([&] {
    ++first;
    timeline.Unfollow(id);
  });
  timeline.Follow([&] { ++second; });
  timeline.Add(Event(1));
  timeline.Add(Event(2));
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 2);
}

}  // namespace
}  // namespace pando::controller
