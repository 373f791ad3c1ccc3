#include "agent/instance_dir.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "agent/testing/test_harness.h"

namespace pando::agent {
namespace {

ino_t FileNumber(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_ino;
}

TEST(InstanceDirTest, TheNewestStateIsReadWhateverWasThereBefore) {
  const TempDir temp;
  const InstanceDir dir(temp.path());
  EXPECT_FALSE(dir.ReadState().has_value());
  StateRecord longer{4'000'000'000, Phase::kUnhealthy, 1'000'000, 1'000'000};
  ASSERT_TRUE(dir.WriteState(longer).ok());
  EXPECT_EQ(dir.ReadState(), longer);
  const StateRecord shorter{1, Phase::kReady, 0, 0};
  ASSERT_TRUE(dir.WriteState(shorter).ok());
  EXPECT_EQ(dir.ReadState(), shorter);
  // Of an earlier version, which did not fill it up.
  ASSERT_TRUE(WriteFileAtomically(temp.path() + "/state",
                                  "incarnation=7\nphase=ready\nfailed_starts=2\noom_kills=0\n")
                  .ok());
  EXPECT_EQ(dir.ReadState()->incarnation, 7u);
  ASSERT_TRUE(dir.WriteState(shorter).ok());
  EXPECT_EQ(dir.ReadState(), shorter);
}

TEST(InstanceDirTest, AGroupThatIsKnownIsNotWrittenAgain) {
  const TempDir temp;
  const InstanceDir dir(temp.path());
  const std::string name = std::filesystem::path(temp.path()).filename();
  const Cgroup group = {"/sys/fs/cgroup/pids/pando/a/" + name,
                        "/sys/fs/cgroup/cpu/pando/a/" + name};
  ASSERT_TRUE(dir.WriteCgroup({}).ok());
  EXPECT_FALSE(std::filesystem::exists(temp.path() + "/cgroup"));
  ASSERT_TRUE(dir.WriteCgroup(group).ok());
  EXPECT_EQ(dir.ReadCgroup(), group);
  const ino_t written = FileNumber(temp.path() + "/cgroup");
  ASSERT_TRUE(dir.WriteCgroup(group).ok());
  EXPECT_EQ(FileNumber(temp.path() + "/cgroup"), written);
  ASSERT_TRUE(dir.WriteCgroup({group[0]}).ok());
  EXPECT_EQ(dir.ReadCgroup(), Cgroup{group[0]});
  ASSERT_TRUE(dir.WriteCgroup({}).ok());
  EXPECT_TRUE(dir.ReadCgroup().empty());
}

}  // namespace
}  // namespace pando::agent
