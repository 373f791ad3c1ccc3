#include "common/runtime/data_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

namespace pando {
namespace {

using ::testing::HasSubstr;

class DataDirTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "pando_data_dir_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  std::string root_;
};

TEST_F(DataDirTest, CreatesItPrivateWithItsParents) {
  const auto dir = DataDir::Open(root_ + "/a/b");
  ASSERT_TRUE(dir.ok()) << dir.status();
  EXPECT_EQ((*dir)->File("state.db"), root_ + "/a/b/state.db");
  struct stat info {};
  ASSERT_EQ(stat((root_ + "/a/b").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST_F(DataDirTest, IsHeldByOneAtATime) {
  auto first = DataDir::Open(root_);
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = DataDir::Open(root_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr("is in use by process " + std::to_string(getpid())));
  first->reset();
  EXPECT_TRUE(DataDir::Open(root_).ok());
}

TEST_F(DataDirTest, SaysWhatIsWrongAndWhatToDo) {
  std::ofstream(root_ + "/file") << "x";
  for (const std::string& path : {root_ + "/file", root_ + "/file/below"}) {
    const auto dir = DataDir::Open(path);
    ASSERT_FALSE(dir.ok());
    EXPECT_EQ(std::string(dir.status().message()),
              "data directory " + path + ": not a directory (choose another with --data-dir)");
  }
}

TEST_F(DataDirTest, WriteReplacesWholeFilesAndLeavesNoTemporary) {
  const std::string path = root_ + "/table";
  const std::string large(100'000, 'x');
  ASSERT_TRUE(WriteFileAtomically(path, "one").ok());
  ASSERT_TRUE(WriteFileAtomically(path, large).ok());
  EXPECT_EQ(ReadFile(path).value_or(""), large);
  ASSERT_TRUE(WriteFileAtomically(path, "").ok());
  EXPECT_EQ(ReadFile(path).value_or("?"), "");
  EXPECT_FALSE(std::filesystem::exists(path + ".tmp"));
}

TEST_F(DataDirTest, FailedWriteKeepsTheOldFile) {
  const std::string path = root_ + "/table";
  std::filesystem::create_directory(path);  // rename onto a directory fails
  EXPECT_FALSE(WriteFileAtomically(path, "new").ok());
  EXPECT_TRUE(std::filesystem::is_directory(path));
  EXPECT_FALSE(std::filesystem::exists(path + ".tmp"));
}

TEST_F(DataDirTest, ReadTellsMissingFromUnreadable) {
  EXPECT_EQ(ReadFile(root_ + "/none").status().code(), absl::StatusCode::kNotFound);
  const absl::Status directory = ReadFile(root_).status();
  EXPECT_FALSE(directory.ok());
  EXPECT_NE(directory.code(), absl::StatusCode::kNotFound);
}

TEST(RandomHexIdTest, IsThirtyTwoHexDigitsAndNeverTheSame) {
  std::set<std::string> ids;
  for (int i = 0; i < 100; ++i) ids.insert(RandomHexId());
  EXPECT_EQ(ids.size(), 100u);
  EXPECT_THAT(*ids.begin(), ::testing::MatchesRegex("[0-9a-f]+"));
  EXPECT_EQ(ids.begin()->size(), 32u);
}

}  // namespace
}  // namespace pando
