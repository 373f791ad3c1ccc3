#include "controller/core/blame.h"

#include <gtest/gtest.h>

namespace pando::controller {
namespace {

TEST(BlameTest, IsCarriedByTheStatus) {
  const absl::Status plain = absl::InvalidArgumentError("taken");
  EXPECT_EQ(BlameOf(plain), std::nullopt);
  EXPECT_EQ(BlameOf(absl::OkStatus()), std::nullopt);
  for (const Blame& blame :
       {Blame{Blame::Kind::kApp, "web", "route.hosts"},
        Blame{Blame::Kind::kGateway, "edge", "port"}, Blame{Blame::Kind::kApp, "web", ""}}) {
    const absl::Status blamed = WithBlame(plain, blame);
    EXPECT_EQ(blamed.code(), plain.code());
    EXPECT_EQ(blamed.message(), plain.message());
    EXPECT_EQ(BlameOf(blamed), blame);
  }
}

}  // namespace
}  // namespace pando::controller
