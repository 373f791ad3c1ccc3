#include "ctl/transfer_line.h"

#include <gtest/gtest.h>

namespace pando::ctl {
namespace {

TEST(TransferLineTest, ShowsHowFarAndHowFast) {
  constexpr uint64_t kMib = 1 << 20;
  struct Case {
    uint64_t done;
    uint64_t sent;
    double seconds;
    int columns;
    std::string want;
  };
  const Case cases[] = {
      {0, 0, 0, 0, "up    0%  0.0 of 24.0 MiB"},
      {12 * kMib, 6 * kMib, 2, 0, "up   50%  12.0 of 24.0 MiB  3.0 MiB/s"},
      {12 * kMib, 6 * kMib, 2, 60, "up  [#########.........]   50%  12.0 of 24.0 MiB  3.0 MiB/s"},
      {24 * kMib, 24 * kMib, 4, 400,
       "up  [" + std::string(40, '#') + "]  100%  24.0 of 24.0 MiB  6.0 MiB/s"},
      {12 * kMib, 6 * kMib, 2, 45, "up   50%  12.0 of 24.0 MiB  3.0 MiB/s"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(TransferLine("up", c.done, 24 * kMib, c.sent, c.seconds, c.columns), c.want);
  }
}

}  // namespace
}  // namespace pando::ctl
