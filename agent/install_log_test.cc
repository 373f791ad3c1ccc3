#include "agent/install_log.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "agent/testing/test_harness.h"

namespace pando::agent {
namespace {

class InstallLogTest : public testing::Test {
 protected:
  std::string Read(const std::string& suffix = "") {
    const auto text = ReadFile(path_ + suffix);
    return text.ok() ? *text : "none";
  }

  const TempDir temp_;
  const std::string path_ = temp_.path() + "/log";
};

TEST_F(InstallLogTest, KeepsWhatIsWrittenForItsUserAlone) {
  InstallLog log(path_);
  log.Write("one\n");
  log.Write("");
  log.Write("two\n");
  EXPECT_EQ(Read(), "one\ntwo\n");
  EXPECT_EQ(Read(".1"), "none");
  struct stat info {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(InstallLogTest, OfTooMuchTheNewestStays) {
  InstallLog log(path_, 10);
  log.Write("0123456789");
  EXPECT_EQ(Read(), "0123456789");
  log.Write("abc");
  EXPECT_EQ(Read(".1") + "|" + Read(), "0123456789|abc");
  log.Write("defghijklmnopqrstuvwxyz");
  EXPECT_EQ(Read(".1") + "|" + Read(), "klmnopqrst|uvwxyz");
}

TEST_F(InstallLogTest, TheTryBeforeIsBesideIt) {
  { InstallLog(path_).Write("first\n"); }
  { InstallLog(path_).Write("second\n"); }
  InstallLog(path_).Write("third\n");
  EXPECT_EQ(Read(".1") + Read(), "second\nthird\n");
}

TEST_F(InstallLogTest, WhereNothingCanBeWrittenNothingIs) {
  InstallLog log(temp_.path() + "/no/such/directory");
  log.Write("lost");
  EXPECT_FALSE(std::filesystem::exists(temp_.path() + "/no"));
}

}  // namespace
}  // namespace pando::agent
