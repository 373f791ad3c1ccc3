// What instances are held to, with the control groups of this host; skipped where it has none.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "agent/cgroup.h"
#include "agent/testing/agent_loop_fixture.h"

namespace pando::agent {
namespace {

using testing::Contains;

class AgentLimitsTest : public AgentLoopTest {
 protected:
  void SetUp() override {
    auto groups = OpenCgroupTree("limits-" + std::to_string(getpid()));
    if (!groups.ok() || !(*groups)->limits_memory()) {
      GTEST_SKIP() << "this host holds no memory: " << groups.status();
    }
    StopAgent();
    groups_ = *std::move(groups);
    StartAgent();
  }

  bool HasGroup(const std::string& id = "web-1") const {
    const Cgroup group = groups_->At(id);
    return std::all_of(group.begin(), group.end(),
                       [](const std::string& dir) { return std::filesystem::exists(dir); });
  }
};

TEST_F(AgentLimitsTest, AHogIsKilledAtItsLimitAndStartedAgain) {
  v1::AppSpec spec = MakeSpec({TestApp(), "eat", "300", "listen", "wait"});
  spec.mutable_resources()->set_max_memory_bytes(32 << 20);
  ASSERT_TRUE(SetOrders(MakeOrders(spec, 1)).ok());
  const Status status = Await([](const Status& s) { return s.oom_kills() >= 2; });
  EXPECT_EQ(status.phase(), Status::BACKOFF);
  EXPECT_EQ(status.detail(), "OOMKilled at 32 MiB");
  EXPECT_EQ(status.last_exit().signal(), SIGKILL);
  EXPECT_TRUE(status.last_exit().oom_killed());
  EXPECT_GT(status.last_exit().max_memory_bytes(), 10u << 20);
  EXPECT_LE(status.last_exit().max_memory_bytes(), 40u << 20);
  EXPECT_GE(status.incarnation(), 2u);
  // What was counted is remembered.
  StopAgent();
  StartAgent();
  EXPECT_GE(FirstTold().oom_kills(), 2u);
}

TEST_F(AgentLimitsTest, AChildThatIsKilledForItIsNotTheApp) {
  v1::AppSpec spec =
      MakeSpec({"/bin/sh", "-c", TestApp() + " eat 300; exec " + TestApp() + " listen wait"});
  spec.mutable_resources()->set_max_memory_bytes(64 << 20);
  ASSERT_TRUE(SetOrders(MakeOrders(spec, 1)).ok());
  const Status ready = AwaitReady(1);
  kill(static_cast<pid_t>(ready.pid()), SIGTERM);
  const Status status = Await([](const Status& s) { return s.phase() == Status::BACKOFF; });
  EXPECT_EQ(
      status.detail(),
      "killed by signal 15 (SIGTERM), after 1 of its child processes was OOMKilled at 64 MiB");
  EXPECT_EQ(status.oom_kills(), 0u);
  EXPECT_FALSE(status.last_exit().oom_killed());
}

TEST_F(AgentLimitsTest, AForkBombIsBounded) {
  v1::AppSpec spec = MakeSpec({TestApp(), "fork", "200", "listen", "wait"});
  spec.mutable_resources()->set_max_processes(10);
  ASSERT_TRUE(SetOrders(MakeOrders(spec, 1)).ok());
  AwaitReady(1);
  EXPECT_TRUE(Eventually([&] { return !Log().empty(); }));
#ifndef PANDO_SANITIZED  // whose processes have threads of their own
  EXPECT_THAT(Log(), Contains("o forked 9"));
#endif
  ASSERT_TRUE(SetOrders(MakeOrders(MakeSpec({}), 0)).ok());
  AwaitGone();
  EXPECT_TRUE(ProcessesWith(TestApp() + std::string(1, '\0') + "fork").empty());
}

TEST_F(AgentLimitsTest, OpenFilesAreBounded) {
  v1::AppSpec spec = MakeSpec({TestApp(), "files", "listen", "wait"});
  spec.mutable_resources()->set_max_open_files(77);
  ASSERT_TRUE(SetOrders(MakeOrders(spec, 1)).ok());
  AwaitReady(1);
  EXPECT_TRUE(Eventually([&] { return !Log().empty(); }));
  EXPECT_THAT(Log(), Contains("o files 77"));
}

TEST_F(AgentLimitsTest, AGroupOutlivesTheAgentAndGoesWithItsInstance) {
  ASSERT_TRUE(SetOrders(MakeOrders(MakeSpec({TestApp(), "listen", "wait"}), 1)).ok());
  AwaitReady(1);
  EXPECT_TRUE(HasGroup());
  StopAgent();
  StartAgent();
  AwaitReady(1);
  std::vector<UsageSampler::Subject> subjects;
  OnLoop([&] { subjects = agent_->UsageSubjects(); });
  ASSERT_EQ(subjects.size(), 1u);
  EXPECT_EQ(subjects[0].group, groups_->At("web-1"));
  EXPECT_GT(groups_->Read(subjects[0].group).memory_bytes, 0u);
  ASSERT_TRUE(SetOrders(MakeOrders(MakeSpec({}), 0)).ok());
  AwaitGone();
  for (const std::string& dir : groups_->At("web-1")) EXPECT_FALSE(std::filesystem::exists(dir));
}

// Whatever has the controllers: both kinds hold an app from its first instruction on.
TEST_F(AgentLoopTest, AnAppBeginsInItsGroup) {
  const std::string name = "limits-" + std::to_string(getpid());
  const auto mounts = ParseCgroupMounts(*ReadFile("/proc/self/mountinfo"));
  int opened = 0;
  for (const bool v2 : {false, true}) {
    SCOPED_TRACE(v2 ? "version 2" : "version 1");
    auto places = FindCgroupPlaces(mounts, *ReadFile("/proc/self/cgroup"), v2);
    if (places.empty()) continue;
    for (CgroupPlace& place : places) place.path += "/" + name;
    auto groups = v2 ? OpenCgroupV2(places[0].path) : OpenCgroupV1(places);
    if (!groups.ok()) continue;
    ++opened;
    StopAgent();
    groups_ = *std::move(groups);
    StartAgent();
    const std::string id = "web-" + std::to_string(opened);
    v1::Orders orders = MakeOrders(
        MakeSpec({"/bin/sh", "-c", "cat /proc/$$/cgroup; exec " + TestApp() + " listen wait"}), 1);
    orders.mutable_assignments(0)->set_id(id);
    ASSERT_TRUE(SetOrders(orders).ok());
    AwaitPhase(Status::READY, id);
    const std::string group = absl::StrCat("/pando/", name, "/", id);
    EXPECT_THAT(Log(id), Contains(testing::ContainsRegex((v2 ? "^o 0::" : "^o [0-9]+:pids:") +
                                                         std::string(".*") + group + "$")));
    ASSERT_TRUE(SetOrders(MakeOrders(MakeSpec({}), 0)).ok());
    AwaitGone(id);
  }
  if (opened == 0) GTEST_SKIP() << "no control groups can be made here";
}

// As on a host without control groups.
TEST_F(AgentLoopTest, WithoutGroupsTooMuchMemoryIsSeenAndEndsIt) {
  v1::AppSpec spec = MakeSpec({TestApp(), "listen", "wait"});
  spec.mutable_resources()->set_max_memory_bytes(32 << 20);
  ASSERT_TRUE(SetOrders(MakeOrders(spec, 1)).ok());
  AwaitReady(1);
  UsageSampler::InstanceUsage used;
  used.incarnation = 1;
  used.usage.memory_bytes = 32 << 20;
  OnLoop([&] { agent_->OnUsage({{{"web-1"}, used}}); });
  EXPECT_EQ(AwaitReady(1).detail(), "");
  used.usage.memory_bytes = 48 << 20;
  OnLoop([&] { agent_->OnUsage({{{"web-1"}, used}}); });
  const Status status = Await([](const Status& s) { return s.oom_kills() == 1; });
  EXPECT_EQ(status.detail(), "OOMKilled at 32 MiB: it used 48 MiB");
  AwaitReady(2);
}

// Two children in sessions of their own, which outlive the app.
class Leavers {
 public:
  v1::AppSpec Spec() const {
    return MakeSpec({"/bin/sh", "-c",
                     "setsid sleep " + seconds_ + " & setsid sleep " + seconds_ + " & exec " +
                         TestApp() + " listen wait"});
  }
  std::vector<pid_t> Await() const {
    const std::string command = std::string("sleep") + '\0' + seconds_;
    EXPECT_TRUE(Eventually([&] { return ProcessesWith(command).size() == 2; }));
    return ProcessesWith(command);
  }

 private:
  const std::string seconds_ = "86397" + std::to_string(getpid() % 1'000);
};

TEST_F(AgentLimitsTest, AKilledShimLeavesNothingThatIsInItsGroup) {
  const Leavers leavers;
  ASSERT_TRUE(SetOrders(MakeOrders(leavers.Spec(), 1)).ok());
  AwaitReady(1);
  const std::vector<pid_t> first = leavers.Await();
  kill(ShimPid(), SIGKILL);
  AwaitReady(2);
  for (const pid_t pid : first) EXPECT_FALSE(IsAlive(pid)) << pid;
}

TEST_F(AgentLoopTest, WithoutGroupsAKilledShimLeavesNothingThatBearsItsMark) {
  const Leavers leavers;
  ASSERT_TRUE(SetOrders(MakeOrders(leavers.Spec(), 1)).ok());
  AwaitReady(1);
  const std::vector<pid_t> first = leavers.Await();
  kill(ShimPid(), SIGKILL);
  AwaitReady(2);
  for (const pid_t pid : first) EXPECT_FALSE(IsAlive(pid)) << pid;
  // The same while there is no agent that sees it.
  const std::vector<pid_t> second = leavers.Await();
  const pid_t shim = ShimPid();
  StopAgent();
  kill(shim, SIGKILL);
  ASSERT_TRUE(Eventually([&] { return !IsAlive(shim); }));
  StartAgent();
  AwaitReady(3);
  for (const pid_t pid : second) EXPECT_FALSE(IsAlive(pid)) << pid;
}

}  // namespace
}  // namespace pando::agent
