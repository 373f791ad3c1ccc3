#include "controller/core/deadlines.h"

#include <gtest/gtest.h>

#include <string>

namespace pando::controller {
namespace {

TEST(DeadlinesTest, SoonestFirstAndOnlyWhenDue) {
  const Instant start{};
  Deadlines<std::string> deadlines;
  EXPECT_FALSE(deadlines.Next());
  deadlines.Set("b", start + Millis{20});
  deadlines.Set("a", start + Millis{10});
  deadlines.Set("c", start + Millis{30});
  deadlines.Set("b", start + Millis{5});  // moved
  deadlines.Clear("c");
  EXPECT_EQ(deadlines.Next(), start + Millis{5});
  EXPECT_FALSE(deadlines.TakeDue(start + Millis{4}));
  EXPECT_EQ(deadlines.TakeDue(start + Millis{50}), "b");
  EXPECT_TRUE(deadlines.Has("a"));
  EXPECT_EQ(deadlines.TakeDue(start + Millis{50}), "a");
  EXPECT_FALSE(deadlines.TakeDue(start + Millis{50}));
}

}  // namespace
}  // namespace pando::controller
