#include "agent/cgroup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "agent/cgroup_files.h"
#include "agent/shim/group.h"
#include "agent/testing/test_harness.h"
#include "common/runtime/data_dir.h"

namespace pando::agent {
namespace {

using testing::ElementsAre;

std::vector<std::string> Paths(const std::vector<CgroupPlace>& places) {
  std::vector<std::string> paths;
  for (const CgroupPlace& place : places) paths.push_back(place.controller + " " + place.path);
  return paths;
}

TEST(CgroupPlacesTest, Version1IsBelowTheAgentsOwnGroup) {
  const auto mounts = ParseCgroupMounts(
      "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
      "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:5 - cgroup cgroup "
      "rw,cpu,cpuacct\n"
      "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
      "39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n"
      "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n");
  ASSERT_EQ(mounts.size(), 4u);
  const std::string own = "8:pids:/\n4:memory:/a/b\n1:cpu,cpuacct:/c\n0::/\n";
  EXPECT_THAT(
      Paths(FindCgroupPlaces(mounts, own, false)),
      ElementsAre("pids /sys/fs/cgroup/pids/pando", "memory /sys/fs/cgroup/memory/a/b/pando",
                  "cpu /sys/fs/cgroup/cpu,cpuacct/c/pando",
                  "cpuacct /sys/fs/cgroup/cpu,cpuacct/c/pando"));
  EXPECT_THAT(Paths(FindCgroupPlaces(mounts, own, true)),
              ElementsAre(" /sys/fs/cgroup/unified/pando"));
}

TEST(CgroupPlacesTest, AContainerSeesAPartOfTheHierarchy) {
  const auto mounts = ParseCgroupMounts(
      "35 31 0:32 /docker/1 /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
      "garbage\n\n1 2 3\n");
  EXPECT_THAT(Paths(FindCgroupPlaces(mounts, "4:memory:/docker/1/x\n", false)),
              ElementsAre("memory /sys/fs/cgroup/memory/x/pando"));
  EXPECT_THAT(Paths(FindCgroupPlaces(mounts, "4:memory:/docker/1\n", false)),
              ElementsAre("memory /sys/fs/cgroup/memory/pando"));
}

void Put(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  ASSERT_TRUE(WriteFileAtomically(path, text).ok()) << path;
}

// The files of version 2, as plain ones: most hosts of today's tests have no such hierarchy.
TEST(CgroupV2Test, WritesLimitsAndReadsUsage) {
  const TempDir temp;
  const std::string top = temp.path() + "/agent-1";
  for (const char* dir : {"", "/agent-1"}) Put(temp.path() + dir + "/cgroup.subtree_control", "");
  const std::string dir = top + "/web-1";
  for (const char* file : {"memory.max", "memory.swap.max", "cpu.max", "pids.max"}) {
    Put(dir + "/" + file, "max");
  }
  Put(dir + "/cpu.stat", "usage_usec 2500000\nuser_usec 1\nnr_periods 9\nnr_throttled 4\n");
  Put(dir + "/memory.current", "1000\n");
  Put(dir + "/memory.stat", "anon 600\nfile 400\ninactive_file 300\n");
  Put(dir + "/memory.events", "low 0\nhigh 0\nmax 7\noom 2\noom_kill 2\noom_group_kill 0\n");

  const auto tree = OpenCgroupV2(top);
  ASSERT_TRUE(tree.ok()) << tree.status();
  EXPECT_TRUE((*tree)->limits_memory() && (*tree)->limits_cpu() && (*tree)->limits_processes());
  const Cgroup group = (*tree)->At("web-1");
  EXPECT_THAT(group, ElementsAre(dir));
  ASSERT_TRUE((*tree)->Limit(group, {1'500, 64 << 20, 50}).ok());
  EXPECT_EQ(*ReadFile(dir + "/memory.max"), "67108864");
  EXPECT_EQ(ReadFile(dir + "/memory.swap.max")->substr(0, 1), "0");
  EXPECT_EQ(*ReadFile(dir + "/cpu.max"), "150000 100000");
  EXPECT_EQ(ReadFile(dir + "/pids.max")->substr(0, 2), "50");

  const CgroupUsage usage = (*tree)->Read(group);
  EXPECT_EQ(usage.cpu_seconds, 2.5);
  EXPECT_EQ(usage.memory_bytes, 700u);
  EXPECT_EQ(usage.oom_kills, 2u);
  EXPECT_EQ(shim::ReadOomKills(dir.c_str()), 2u);
  EXPECT_EQ((*tree)->Read({temp.path() + "/no/such"}).memory_bytes, 0u);
}

// A child in the group that ends when it is killed.
pid_t StartIn(const Cgroup& group) {
  std::array<int, 2> ready{};
  EXPECT_EQ(pipe(ready.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    bool entered = true;
    for (const std::string& dir : group) entered &= shim::EnterGroup(dir.c_str());
    const char answer = entered ? 'y' : 'n';
    if (write(ready[1], &answer, 1) != 1) _exit(1);
    while (true) pause();
  }
  char answer = 0;
  EXPECT_EQ(read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  close(ready[0]);
  close(ready[1]);
  return child;
}

int SignalThatEnded(pid_t child) {
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

// Whatever the kernel has: a group holds a process and its children, all of them are killed by it,
// and nobody else is.
void ExpectGroupHoldsAndKills(CgroupTree& tree) {
  const Cgroup group = tree.At("web-1");
  ASSERT_FALSE(group.empty());
  absl::Status made = tree.Make(group, {500, 64 << 20, 20});
  ASSERT_TRUE(made.ok()) << made;
  EXPECT_EQ(shim::KillGroup(group[0].c_str()), 0);
  const pid_t child = StartIn(group);
  const Cgroup other = tree.At("web-2");
  ASSERT_TRUE(tree.Make(other, {}).ok());
  const pid_t stranger = StartIn(other);
  EXPECT_FALSE(RemoveCgroup(group));
  EXPECT_EQ(tree.Make(group, {}).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(shim::KillGroup(group[0].c_str()), 1);
  EXPECT_EQ(SignalThatEnded(child), SIGKILL);
  EXPECT_TRUE(Eventually([&] { return RemoveCgroup(group); }));
  EXPECT_TRUE(IsAlive(stranger));
  EXPECT_TRUE(RemoveCgroup(group));  // it does not exist: nothing to do
  kill(stranger, SIGTERM);
  EXPECT_EQ(SignalThatEnded(stranger), SIGTERM);
  EXPECT_TRUE(Eventually([&] { return RemoveCgroup(other); }));
}

TEST(CgroupTest, OfThisHostHoldsKillsAndIsRemoved) {
  auto tree = OpenCgroupTree("test-" + std::to_string(getpid()));
  if (!tree.ok()) GTEST_SKIP() << tree.status();
  ExpectGroupHoldsAndKills(**tree);
  const std::string dir = std::filesystem::path((*tree)->At("x")[0]).parent_path();
  EXPECT_TRUE(std::filesystem::exists(dir));
  tree->reset();
  EXPECT_FALSE(std::filesystem::exists(dir));
}

// Also where its controllers are with version 1: holding and killing needs none.
TEST(CgroupTest, OfVersion2HoldsKillsAndIsRemoved) {
  const auto mounts = ParseCgroupMounts(*ReadFile("/proc/self/mountinfo"));
  const auto places = FindCgroupPlaces(mounts, *ReadFile("/proc/self/cgroup"), true);
  if (places.empty()) GTEST_SKIP() << "no cgroup2 is mounted";
  auto tree = OpenCgroupV2(places[0].path + "/test-" + std::to_string(getpid()));
  if (!tree.ok()) GTEST_SKIP() << tree.status();
  ExpectGroupHoldsAndKills(**tree);
}

TEST(CgroupTest, LimitsAreHeldAndCounted) {
  auto tree = OpenCgroupTree("test-" + std::to_string(getpid()));
  if (!tree.ok()) GTEST_SKIP() << tree.status();
  if (!(*tree)->limits_cpu() || !(*tree)->limits_processes()) GTEST_SKIP() << "no controllers";
  const Cgroup group = (*tree)->At("web-1");
  ASSERT_TRUE((*tree)->Make(group, {50, 0, 3}).ok());
  std::array<int, 2> out{};
  ASSERT_EQ(pipe(out.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (const std::string& dir : group) shim::EnterGroup(dir.c_str());
    char forked = 0;
    for (int i = 0; i < 10; ++i) {
      const pid_t one = fork();
      if (one == 0) {
        while (true) pause();
      }
      if (one > 0) ++forked;
    }
    if (write(out[1], &forked, 1) != 1) _exit(1);
    volatile unsigned long work = 0;
    while (true) work = work + 1;
  }
  char forked = 0;
  ASSERT_EQ(read(out[0], &forked, 1), 1);
#ifndef PANDO_SANITIZED  // whose processes have threads of their own
  EXPECT_EQ(forked, 2);  // and itself
#endif
  // A twentieth of a processor: held up in most periods.
  EXPECT_TRUE(Eventually(
      [&] {
        uint64_t throttled = 0;
        for (const std::string& dir : group) {
          throttled += ReadCgroupNumber(dir, "cpu.stat", "nr_throttled");
        }
        return throttled >= 3;
      },
      Millis{60'000}));
  EXPECT_GT((*tree)->Read(group).cpu_seconds, 0.0);
  EXPECT_EQ(shim::KillGroup(group[0].c_str()), 1 + forked);
  EXPECT_EQ(SignalThatEnded(child), SIGKILL);
  EXPECT_TRUE(Eventually([&] { return RemoveCgroup(group); }));
  close(out[0]);
  close(out[1]);
}

}  // namespace
}  // namespace pando::agent
