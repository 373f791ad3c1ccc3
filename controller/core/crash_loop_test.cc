#include "controller/core/crash_loop.h"

#include <gtest/gtest.h>

#include "controller/core/cluster_harness.h"

namespace pando::controller {
namespace {

InstanceReport Crashed(Phase phase, uint32_t crashes) {
  InstanceReport report;
  report.phase = phase;
  report.crashes = crashes;
  report.detail = "exited with code 1";
  report.last_lines = {"Error: no module", "at main.js:3"};
  return report;
}

TEST(CrashLoopTest, IsOneFromTheThirdCrashOnWhileItIsNotReady) {
  EXPECT_FALSE(IsCrashLoop(Crashed(Phase::kBackoff, 2)));
  EXPECT_TRUE(IsCrashLoop(Crashed(Phase::kBackoff, 3)));
  EXPECT_TRUE(IsCrashLoop(Crashed(Phase::kStarting, 3)));
  EXPECT_TRUE(IsCrashLoop(Crashed(Phase::kFailed, 9)));
  EXPECT_FALSE(IsCrashLoop(Crashed(Phase::kReady, 9)));
}

TEST(CrashLoopTest, TellsHowOftenAndTheLastLines) {
  EXPECT_EQ(DescribeCrash(Crashed(Phase::kBackoff, 0)), "exited with code 1");
  EXPECT_EQ(DescribeCrash(Crashed(Phase::kBackoff, 1)),
            "exited with code 1: Error: no module | at main.js:3");
  EXPECT_EQ(DescribeCrash(Crashed(Phase::kBackoff, 4)),
            "exited with code 1, 4 times in a row: Error: no module | at main.js:3");
  InstanceReport silent = Crashed(Phase::kBackoff, 4);
  silent.detail.clear();
  silent.last_lines.clear();
  EXPECT_EQ(DescribeCrash(silent), "crashed 4 times in a row");
}

TEST(CrashLoopTest, IsSaidOnceAndShownUntilItIsReady) {
  ClusterHarness h;
  ASSERT_TRUE(h.Connect("n1").ok());
  h.ConnectProxy("p");
  ASSERT_TRUE(h.Apply("v1", 1).ok());
  const AssignmentId id = h.Of(1).at(0).id;
  for (uint32_t crashes = 1; crashes <= 5; ++crashes) {
    InstanceReport report = h.Report(id, Phase::kBackoff);
    report.crashes = report.restarts = crashes;
    report.detail = "exited with code 1";
    report.last_lines = {"Error: no module"};
    h.Say(report);
    EXPECT_EQ(h.State(id), crashes < 3 ? "backoff" : "crash-loop");
    report.phase = Phase::kStarting;
    h.Say(report);
  }
  EXPECT_EQ(h.Count("crash-loop"), 1u);
  EXPECT_EQ(h.Count("instance-exited"), 5u);
  for (const InstanceStatus& status : h.cluster->GetInstances(kWeb)) {
    EXPECT_EQ(status.detail, "exited with code 1, 5 times in a row: Error: no module");
  }
  h.Say(id, Phase::kReady);
  EXPECT_EQ(h.State(id), "ready");
}

}  // namespace
}  // namespace pando::controller
