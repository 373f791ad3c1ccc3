#include "agent/core/port_allocator.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace pando::agent {
namespace {

TEST(PortRangeTest, ReadsARangeAndRefusesWhatIsNone) {
  const auto range = ParsePortRange("20000-29999");
  ASSERT_TRUE(range.ok());
  EXPECT_EQ(range->first, 20000);
  EXPECT_EQ(range->last, 29999);
  EXPECT_EQ(range->size(), 10000u);
  for (const char* bad : {"", "20000", "1-2-3", "0-10", "5-4", "1-65536", "a-b", "-5"}) {
    EXPECT_FALSE(ParsePortRange(bad).ok()) << bad;
  }
}

class PortAllocatorTest : public testing::Test {
 protected:
  std::optional<uint16_t> Allocate(uint16_t previous = 0) {
    return ports_.Allocate(previous, [this](uint16_t port) { return taken_.insert(port).second; });
  }

  PortAllocator ports_{{100, 103}, 2};
  std::set<uint16_t> taken_;
};

TEST_F(PortAllocatorTest, GoesRoundTheRangeFromItsStart) {
  EXPECT_EQ(Allocate(), 102);
  EXPECT_EQ(Allocate(), 103);
  EXPECT_EQ(Allocate(), 100);
  taken_.erase(102);
  EXPECT_EQ(Allocate(), 101);
  EXPECT_EQ(Allocate(), 102);
}

TEST_F(PortAllocatorTest, SkipsWhatIsTakenAndSaysWhenAllIs) {
  taken_ = {102, 103};
  EXPECT_EQ(Allocate(), 100);
  EXPECT_EQ(Allocate(), 101);
  EXPECT_EQ(Allocate(), std::nullopt);
}

TEST_F(PortAllocatorTest, KeepsThePreviousPortWhenItIsFree) {
  EXPECT_EQ(Allocate(101), 101);
  EXPECT_EQ(Allocate(101), 102);  // taken by now
}

TEST_F(PortAllocatorTest, APreviousPortOutsideTheRangeIsNotKept) {
  EXPECT_EQ(Allocate(7), 102);  // the range was changed by flag
}

}  // namespace
}  // namespace pando::agent
