#include "agent/core/exit.h"

#include <gtest/gtest.h>

namespace pando::agent {
namespace {

constexpr uint64_t kMib = 1 << 20;

TEST(ExitTest, IsToldInAFewWords) {
  struct Case {
    const char* name = nullptr;
    Exit exit;
    uint64_t limit = 0;
    const char* want = nullptr;
  };
  const Case cases[] = {
      {"a code", {.code = 1}, 0, "exited with code 1"},
      {"a signal with a name", {.signal = 9}, 512 * kMib, "killed by signal 9 (SIGKILL)"},
      {"a signal without", {.signal = 63}, 0, "killed by signal 63"},
      {"killed at its limit", {.signal = 9, .oom_kills = 1}, 512 * kMib, "OOMKilled at 512 MiB"},
      {"a shell's word for it",
       {.code = 137, .oom_kills = 2},
       1'536 * kMib,
       "OOMKilled at 1.5 GiB"},
      {"the host had none",
       {.signal = 9, .oom_kills = 1},
       0,
       "OOMKilled: its host was out of memory"},
      {"a child was killed before",
       {.code = 1, .oom_kills = 1},
       512 * kMib,
       "exited with code 1, after 1 of its child processes was OOMKilled at 512 MiB"},
      {"another signal",
       {.signal = 11, .oom_kills = 2},
       0,
       "killed by signal 11 (SIGSEGV), after 2 of its child processes were OOMKilled: its host was "
       "out of memory"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(DescribeExit(c.exit, c.limit), c.want);
  }
}

TEST(ExitTest, BytesHaveAUnit) {
  EXPECT_EQ(DescribeBytes(0), "0 bytes");
  EXPECT_EQ(DescribeBytes(1'023), "1023 bytes");
  EXPECT_EQ(DescribeBytes(1'024), "1 KiB");
  EXPECT_EQ(DescribeBytes(64 * kMib), "64 MiB");
  EXPECT_EQ(DescribeBytes(1'100 * kMib), "1.1 GiB");
  EXPECT_EQ(DescribeBytes(uint64_t{1} << 50), "1024 TiB");
}

}  // namespace
}  // namespace pando::agent
