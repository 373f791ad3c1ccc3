#include "artifact/ownership.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifact/testing/test_archive.h"

namespace pando::artifact {
namespace {

using testing::HasSubstr;

constexpr uid_t kUser = 64'123;
constexpr gid_t kGroup = 64'124;

struct stat Stat(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
  return info;
}

class OwnershipTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    work_.Write("tree/d/file", "x");
    work_.Write("outside", "x");
    std::filesystem::create_symlink("../outside", work_ / "tree/link");
  }

  const TestDir work_;
};

TEST_F(OwnershipTest, ATreeIsGivenAsAWholeAndLinksAreNotFollowed) {
  ASSERT_EQ(GiveTree(work_ / "tree", kUser, kGroup), absl::OkStatus());
  for (const char* name : {"tree", "tree/d", "tree/d/file", "tree/link"}) {
    EXPECT_EQ(Stat(work_ / name).st_uid, kUser) << name;
    EXPECT_EQ(Stat(work_ / name).st_gid, kGroup) << name;
  }
  EXPECT_EQ(Stat(work_ / "outside").st_uid, geteuid());
}

TEST_F(OwnershipTest, WhatIsTakenTheGroupMayReadAndNobodyMayWrite) {
  ASSERT_EQ(GiveTree(work_ / "tree", kUser, kGroup), absl::OkStatus());
  chmod((work_ / "tree/d").c_str(), 0700);
  chmod((work_ / "tree/d/file").c_str(), 04777);
  work_.Write("tree/d/secret", "x");
  ASSERT_EQ(chown((work_ / "tree/d/secret").c_str(), kUser, kGroup), 0);
  chmod((work_ / "tree/d/secret").c_str(), 0600);
  ASSERT_EQ(TakeTree(work_ / "tree", kUser, kGroup), absl::OkStatus());
  for (const char* name : {"tree", "tree/d", "tree/d/file", "tree/d/secret", "tree/link"}) {
    EXPECT_EQ(Stat(work_ / name).st_uid, geteuid()) << name;
    EXPECT_EQ(Stat(work_ / name).st_gid, kGroup) << name;
  }
  EXPECT_EQ(Stat(work_ / "tree/d").st_mode & 07777, 0750u);
  EXPECT_EQ(Stat(work_ / "tree/d/file").st_mode & 07777, 0755u);
  EXPECT_EQ(Stat(work_ / "tree/d/secret").st_mode & 07777, 0640u);
}

TEST_F(OwnershipTest, WhatIsNotOfThatUserIsLeftAlone) {
  ASSERT_EQ(GiveTree(work_ / "tree", kUser, kGroup), absl::OkStatus());
  chmod((work_ / "outside").c_str(), 0600);
  // As a user could where the kernel does not protect hard links.
  std::filesystem::create_hard_link(work_ / "outside", work_ / "tree/a");
  const absl::Status taken = TakeTree(work_ / "tree", kUser, kGroup);
  EXPECT_EQ(taken.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(taken.message()), HasSubstr("tree/a belongs to another user"));
  EXPECT_EQ(Stat(work_ / "outside").st_mode & 0777, 0600u);
  EXPECT_EQ(Stat(work_ / "outside").st_gid, getegid());
  EXPECT_EQ(Stat(work_ / "tree/d/file").st_uid, geteuid()) << "the rest is taken";
}

TEST_F(OwnershipTest, ALinkInPlaceOfTheTreeIsTakenAsALink) {
  std::filesystem::create_symlink("outside", work_ / "other");
  ASSERT_EQ(lchown((work_ / "other").c_str(), kUser, kGroup), 0);
  ASSERT_EQ(chown((work_ / "outside").c_str(), kUser, kGroup), 0);
  EXPECT_EQ(TakeTree(work_ / "other", kUser, kGroup), absl::OkStatus());
  EXPECT_EQ(Stat(work_ / "outside").st_uid, kUser);
  EXPECT_EQ(TakeTree(work_ / "nothing", kUser, kGroup), absl::OkStatus());
}

TEST_F(OwnershipTest, NothingIsTooDeepOrTooMuch) {
  std::string deep = work_ / "tree";
  for (int i = 0; i < 300; ++i) deep += "/d" + std::to_string(i);
  std::filesystem::create_directories(deep);
  ASSERT_EQ(GiveTree(work_ / "tree", kUser, kGroup), absl::OkStatus());
  ASSERT_EQ(Stat(deep).st_uid, kUser);
  EXPECT_EQ(TakeTree(work_ / "tree", kUser, kGroup), absl::OkStatus());
  EXPECT_EQ(Stat(deep).st_uid, geteuid());
  EXPECT_EQ(Stat(work_ / "tree/d/file").st_uid, geteuid());
}

}  // namespace
}  // namespace pando::artifact
