#include "agent/install_step.h"

#include <fcntl.h>
#include <gmock/gmock.h>

#include "agent/testing/test_harness.h"
#include "common/runtime/unique_fd.h"

namespace pando::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class InstallStepTest : public testing::Test {
 protected:
  InstallResult Run(
      const std::string& script, Millis timeout = Millis{60'000},
      const std::function<bool()>& stop = [] { return false; }) {
    const UniqueFd lock(open((temp_.path() + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    return RunInstallStep({.argv = {"/bin/sh", "-c", script},
                           .dir = temp_.path(),
                           .home = "/the/home",
                           .log = temp_.path() + "/log",
                           .timeout = timeout,
                           .lock_fd = lock.get()},
                          stop);
  }

  const TempDir temp_;
};

TEST_F(InstallStepTest, RunsInItsDirectoryWithLittleOfTheAgentsEnvironment) {
  setenv("PANDO_SECRET", "x", 1);
  const InstallResult result = Run("pwd; echo \"$HOME ${PANDO_SECRET-none}\"; touch made");
  EXPECT_EQ(result.status, absl::OkStatus());
  EXPECT_THAT(result.last_lines, ElementsAre(temp_.path(), "/the/home none"));
  EXPECT_TRUE(std::filesystem::exists(temp_.path() + "/made"));
}

TEST_F(InstallStepTest, AFailureHasTheLastLine) {
  const InstallResult result = Run("echo working; echo 'npm ERR! no such package' >&2; exit 3");
  EXPECT_EQ(result.status.message(), "install failed: exit 3: npm ERR! no such package");
  EXPECT_THAT(result.last_lines, ElementsAre("working", "npm ERR! no such package"));
  EXPECT_EQ(Run("kill -9 $$").status.message(), "install failed: killed by signal 9");
}

TEST_F(InstallStepTest, KeepsTheEndOfMuchOutput) {
  const InstallResult result =
      Run("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done");
  EXPECT_EQ(result.status, absl::OkStatus());
  ASSERT_EQ(result.last_lines.size(), 8u);
  EXPECT_EQ(result.last_lines.back(), "line 19999");
  const std::string log = *ReadFile(temp_.path() + "/log");
  EXPECT_TRUE(log.starts_with("line 0\nline 1\n"));
  EXPECT_TRUE(log.ends_with("\nline 19999\n"));
}

TEST_F(InstallStepTest, EndsWithItsTimeHoweverMuchItPrints) {
  const std::string mark = temp_.path() + "/mark";
  const InstallResult result =
      Run("sleep 1000 " + mark + " & while :; do echo busy; done", Millis{1'000});
  EXPECT_THAT(std::string(result.status.message()), HasSubstr("not finished within 1 s: busy"));
  EXPECT_TRUE(Eventually([&] { return ProcessesWith(mark).empty(); }));
}

TEST_F(InstallStepTest, NothingOfItOutlivesIt) {
  const std::string mark = temp_.path() + "/mark";
  EXPECT_EQ(Run("tail -f /dev/null " + mark + " & echo done").status, absl::OkStatus());
  EXPECT_TRUE(Eventually([&] { return ProcessesWith(mark).empty(); }));
}

TEST_F(InstallStepTest, EndsWhenTold) {
  int asked = 0;
  const InstallResult result =
      Run("tail -f /dev/null", Millis{600'000}, [&] { return ++asked > 2; });
  EXPECT_EQ(result.status.code(), absl::StatusCode::kCancelled);
}

TEST_F(InstallStepTest, AProgramThatIsNotThereIsNamed) {
  const UniqueFd lock(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const InstallResult result = RunInstallStep({.argv = {"no-such-program"},
                                               .dir = temp_.path(),
                                               .home = "/",
                                               .log = temp_.path() + "/log",
                                               .lock_fd = lock.get()},
                                              [] { return false; });
  EXPECT_THAT(std::string(result.status.message()),
              HasSubstr("install failed: cannot start no-such-program"));
}

}  // namespace
}  // namespace pando::agent
