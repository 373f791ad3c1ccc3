#include "agent/shim_client.h"

#include <gtest/gtest.h>

namespace pando::agent {
namespace {

TEST(ParseShimLineTest, ReadsWhatAShimSays) {
  const auto running = ParseShimLine("running 3 4711 123456789 20001 1795435445123");
  ASSERT_TRUE(running && std::holds_alternative<ShimRunning>(*running));
  const auto& one = std::get<ShimRunning>(*running);
  EXPECT_EQ(one.incarnation, 3u);
  EXPECT_EQ(one.app.pid, 4711);
  EXPECT_EQ(one.app.start_time, 123456789u);
  EXPECT_EQ(one.port, 20001);
  EXPECT_EQ(one.started_unix_ms, 1795435445123);

  const auto exited = ParseShimLine("exited 3 7 0");
  ASSERT_TRUE(exited && std::holds_alternative<ShimExited>(*exited));
  EXPECT_EQ(std::get<ShimExited>(*exited).exit, Exit{.code = 7});

  const auto killed = ParseShimLine("exited 3 0 9 2 1500 67108864");
  ASSERT_TRUE(killed && std::holds_alternative<ShimExited>(*killed));
  EXPECT_EQ(std::get<ShimExited>(*killed).exit, (Exit{0, 9, 2, 1'500, 64 << 20}));

  const auto failed = ParseShimLine("failed 3 no such file: /a b");
  ASSERT_TRUE(failed && std::holds_alternative<ShimFailed>(*failed));
  EXPECT_EQ(std::get<ShimFailed>(*failed).reason, "no such file: /a b");
}

TEST(ParseShimLineTest, WhatIsNotUnderstoodIsNothing) {
  for (const char* line : {"", "running", "running 1 2 3 4", "running 1 2 3 4 x", "exited 1",
                           "exited 1 0 9 1", "ok"}) {
    EXPECT_FALSE(ParseShimLine(line).has_value()) << line;
  }
}

}  // namespace
}  // namespace pando::agent
