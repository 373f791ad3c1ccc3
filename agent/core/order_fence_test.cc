#include "agent/core/order_fence.h"

#include <gtest/gtest.h>

namespace pando::agent {
namespace {

TEST(OrderFenceTest, ObeysItsOwnClusterAndNoOlderTerm) {
  struct Case {
    const char* name = "";
    Authority known;
    Authority speaker;
    bool want = false;
  };
  const Case cases[] = {
      {"first contact", {"", 0}, {"c1", 3}, true},
      {"the same", {"c1", 3}, {"c1", 3}, true},
      {"a newer leader", {"c1", 3}, {"c1", 4}, true},
      {"a deposed leader", {"c1", 3}, {"c1", 2}, false},
      {"another cluster", {"c1", 3}, {"c2", 9}, false},
      {"a nameless cluster", {"c1", 3}, {"", 3}, false},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(CheckAuthority(c.known, c.speaker).ok(), c.want) << c.name;
  }
}

}  // namespace
}  // namespace pando::agent
