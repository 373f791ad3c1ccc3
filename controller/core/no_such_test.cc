#include "controller/core/no_such.h"

#include <gtest/gtest.h>

#include <map>

#include "common/base/ids.h"

namespace pando::controller {
namespace {

TEST(NoSuchTest, NamesThoseThatThereAreAndOfManyTheFirst) {
  std::map<NodeId, int> nodes;
  EXPECT_EQ(NoSuch("node", "c", nodes), absl::NotFoundError("no such node: c (there are: none)"));
  nodes = {{NodeId{"a"}, 1}, {NodeId{"b"}, 2}};
  EXPECT_EQ(NoSuch("node", "c", nodes), absl::NotFoundError("no such node: c (there are: a, b)"));
  std::map<std::string, int> gateways;
  for (int i = 10; i < 23; ++i) gateways[std::to_string(i)] = i;
  EXPECT_EQ(NoSuch("gateway", "", gateways),
            absl::NotFoundError("no such gateway:  (there are: 10, 11, 12, 13, 14, 15, 16, 17, 18, "
                                "19 and 3 more)"));
}

}  // namespace
}  // namespace pando::controller
