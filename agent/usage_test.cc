#include "agent/usage.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

namespace pando::agent {
namespace {

TEST(ProcessStatTest, FieldsAreCountedBehindTheNameWhateverItHolds) {
  ProcessStat stat;
  ASSERT_TRUE(
      ParseProcessStat("77 (a) b (c) S 12 77 77 0 -1 4194304 2 3 4 5 100 20 30 4 20 0 11 0 "
                       "12345 999 321 18446744073709551615 1 1",
                       stat));
  EXPECT_EQ(stat.parent, 12);
  EXPECT_EQ(stat.cpu_ticks, 120u);
  EXPECT_EQ(stat.children_cpu_ticks, 34u);
  EXPECT_EQ(stat.resident_pages, 321u);
}

TEST(ProcessStatTest, WhatIsCutShortIsRefused) {
  const std::string whole = "77 (app) S 12 77 77 0 -1 0 0 0 0 0 1 2 3 4 20 0 1 0 5 6 7 8";
  ProcessStat stat;
  ASSERT_TRUE(ParseProcessStat(whole, stat));
  const size_t through_resident = whole.rfind(' ');
  for (size_t length = 0; length < through_resident - 1; ++length) {
    EXPECT_FALSE(ParseProcessStat(whole.substr(0, length), stat)) << length;
  }
}

TEST(BusyTicksTest, IdleAndIoWaitAreNotWork) {
  EXPECT_EQ(ParseBusyTicks("cpu  1 2 4 1000 2000 8 16 32 500 600\ncpu0 1 1 1 1\n"), 63);
  EXPECT_EQ(ParseBusyTicks(""), 0);
}

TEST(KeyedTest, TheKeyStandsAtALinesStart) {
  const std::string text = "MemTotal:       100 kB\nMemFree: 7 kB\nXMemFree: 9 kB\n";
  EXPECT_EQ(ParseKeyed(text, "MemTotal:"), 100u);
  EXPECT_EQ(ParseKeyed(text, "MemFree:"), 7u);
  EXPECT_EQ(ParseKeyed(text, "Swap:"), 0u);
}

// A child that burns `burn` of CPU time, starts a child of its own, tells through `ready`, and ends
// when `stay` is closed.
pid_t StartFamily(std::array<int, 2> ready, std::array<int, 2> stay) {
  const pid_t root = fork();
  if (root != 0) return root;
  close(stay[1]);
  const pid_t app = fork();
  if (app != 0) {  // the root only waits, as a shim does
    close(ready[0]);
    close(ready[1]);
    waitpid(app, nullptr, 0);
    _exit(0);
  }
  rusage used{};
  volatile unsigned long work = 0;
  do {
    for (int i = 0; i < 100'000; ++i) work = work + 1;
    getrusage(RUSAGE_SELF, &used);
  } while (used.ru_utime.tv_sec == 0 && used.ru_utime.tv_usec < 60'000);
  if (fork() == 0) {
    char end = 0;
    _exit(read(stay[0], &end, 1) == 0 ? 0 : 1);
  }
  const char go = '!';
  if (write(ready[1], &go, 1) != 1) _exit(1);
  char end = 0;
  _exit(read(stay[0], &end, 1) == 0 ? 0 : 1);
}

TEST(TreeUsageTest, AllBelowTheRootCountsAndTheRootItselfDoesNot) {
  std::array<int, 2> ready{};
  std::array<int, 2> stay{};
  ASSERT_EQ(pipe(ready.data()), 0);
  ASSERT_EQ(pipe(stay.data()), 0);
  const pid_t root = StartFamily(ready, stay);
  ASSERT_GT(root, 0);
  char went = 0;
  ASSERT_EQ(read(ready[0], &went, 1), 1);

  const std::map<pid_t, TreeUsage> usage = ReadTreeUsage({root});
  ASSERT_EQ(usage.count(root), 1u);
  const TreeUsage& tree = usage.at(root);
  EXPECT_EQ(tree.processes, 2u);
  EXPECT_GE(tree.cpu_seconds, 0.04);  // ticks are 10 ms
  EXPECT_GT(tree.memory_bytes, 2u << 12);
  EXPECT_GE(tree.open_fds, 2u * 3u);

  close(stay[1]);
  EXPECT_EQ(waitpid(root, nullptr, 0), root);
  EXPECT_EQ(ReadTreeUsage({root}).count(root), 0u);
  for (const int fd : {ready[0], ready[1], stay[0]}) close(fd);
}

TEST(HostUsageTest, TheHostIsSeen) {
  const HostUsage host = ReadHostUsage("/");
  EXPECT_GT(host.cpu_seconds, 0);
  EXPECT_GT(host.memory_bytes, host.memory_available_bytes);
  EXPECT_GT(host.memory_available_bytes, 0u);
  EXPECT_GE(host.disk_bytes, host.disk_available_bytes);
  EXPECT_GT(host.disk_bytes, 0u);
  EXPECT_EQ(ReadHostUsage("/no/such/path").disk_bytes, 0u);
}

}  // namespace
}  // namespace pando::agent
