// An agent that comes back, and shims that do not answer it: real shims, stopped by a signal.
#include "agent/adoption.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "absl/strings/str_cat.h"
#include "agent/shim/protocol.h"
#include "agent/testing/agent_loop_fixture.h"

namespace pando::agent {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

// A process that does nothing, whatever it is told, until this ends.
class Frozen {
 public:
  explicit Frozen(pid_t pid) : pid_(pid) { kill(pid_, SIGSTOP); }
  ~Frozen() { Thaw(); }
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;
  void Thaw() { kill(pid_, SIGCONT); }

 private:
  pid_t pid_;
};

class AdoptionTest : public AgentLoopTest {
 protected:
  static v1::Orders Listening(uint32_t replicas) {
    return MakeOrders(MakeSpec({TestApp(), "listen", "wait"}), replicas);
  }
  // All of them run; what the agent knew of web-2 before it was killed.
  Status RunThenKillAgent(uint32_t replicas) {
    EXPECT_TRUE(SetOrders(Listening(replicas)).ok());
    for (uint32_t slot = 1; slot <= replicas; ++slot) {
      AwaitPhase(Status::READY, absl::StrCat("web-", slot));
    }
    const Status known = AwaitPhase(Status::READY, "web-2");
    StopAgent();
    return known;
  }
  // "web-1 READY", in the order in which it was told.
  std::vector<std::string> Told() {
    std::vector<std::string> told;
    for (const Status& status : History()) {
      told.push_back(absl::StrCat(status.assignment_id(), " ", Status::Phase_Name(status.phase())));
    }
    return told;
  }
};

TEST_F(AdoptionTest, AShimThatHangsIsTakenOverWithTheOthersByItsRecord) {
  const Status before = RunThenKillAgent(3);
  Frozen shim(ShimPid("web-2"));
  StartAgent();
  EXPECT_THAT(Told(), UnorderedElementsAre("web-1 READY", "web-2 READY", "web-3 READY"));
  EXPECT_EQ(AwaitPhase(Status::READY, "web-2").pid(), before.pid());
  EXPECT_EQ(AwaitPhase(Status::READY, "web-2").port(), before.port());
  EXPECT_EQ(agent_metrics_.starts_total.Value(), 3) << "nothing was started again";
  // When it answers again it tells what happened meanwhile.
  kill(static_cast<pid_t>(before.pid()), SIGABRT);
  shim.Thaw();
  const Status after = Await(
      [](const Status& s) { return s.phase() == Status::READY && s.incarnation() == 2; }, "web-2");
  EXPECT_EQ(after.last_exit().signal(), SIGABRT);
  EXPECT_EQ(agent_metrics_.starts_total.Value(), 4);
}

TEST_F(AdoptionTest, OneThatIsNotKnownYetHoldsUpNobody) {
  const Status before = RunThenKillAgent(3);
  Frozen shim(ShimPid("web-2"));
  // As a shim that hangs before it has recorded what it runs.
  ASSERT_TRUE(std::filesystem::remove(absl::StrCat(Dir("web-2"), "/", shim::kRunFile)));
  StartAgent();
  EXPECT_THAT(Told(), UnorderedElementsAre("web-1 READY", "web-3 READY"));
  const Status overdue = AwaitPhase(Status::FAILED, "web-2");
  EXPECT_EQ(overdue.detail(),
            "not taken over after the agent's restart: the instance's shim runs and does not "
            "answer");
  OnLoop([this] { EXPECT_EQ(agent_->Statuses().size(), 3u); });
  shim.Thaw();
  const Status after = AwaitPhase(Status::READY, "web-2");
  EXPECT_EQ(after.pid(), before.pid());
  EXPECT_EQ(after.incarnation(), 1u);
  OnLoop([this] { EXPECT_EQ(agent_->Statuses().size(), 3u); });
}

TEST_F(AdoptionTest, OneThatIsFoundLateAndNotWantedAnyMoreIsStopped) {
  const Status before = RunThenKillAgent(2);
  Frozen shim(ShimPid("web-2"));
  ASSERT_TRUE(std::filesystem::remove(absl::StrCat(Dir("web-2"), "/", shim::kRunFile)));
  StartAgent();
  v1::Orders fewer = Listening(1);
  fewer.set_version(2);
  ASSERT_TRUE(SetOrders(fewer).ok());
  EXPECT_TRUE(IsAlive(static_cast<pid_t>(before.pid())));
  shim.Thaw();
  AwaitGone("web-2");
  EXPECT_FALSE(IsAlive(static_cast<pid_t>(before.pid())));
  EXPECT_THAT(Told(), testing::Contains("web-1 READY"));
}

TEST_F(AdoptionTest, AnAgentThatStopsItsInstancesWaitsForThoseItStillLooksFor) {
  const Status before = RunThenKillAgent(2);
  Frozen shim(ShimPid("web-2"));
  ASSERT_TRUE(std::filesystem::remove(absl::StrCat(Dir("web-2"), "/", shim::kRunFile)));
  StartAgent();
  std::promise<void> stopped;
  OnLoop([&] { agent_->StopInstances([&] { stopped.set_value(); }); });
  shim.Thaw();
  ASSERT_EQ(stopped.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  EXPECT_FALSE(IsAlive(static_cast<pid_t>(before.pid())));
  EXPECT_THAT(ProcessesWith(temp_.path()), ElementsAre());
}

TEST_F(AdoptionTest, AnExitTheShimCouldTellNobodyIsReadFromItsRecord) {
  RunThenKillAgent(2);
  const pid_t shim = ShimPid("web-2");
  Frozen frozen(shim);
  StartAgent();
  // As if it had ended between being found and being heard.
  ASSERT_TRUE(WriteFileAtomically(absl::StrCat(Dir("web-2"), "/", shim::kExitFile),
                                  "incarnation=1\ncode=3\nsignal=0\n")
                  .ok());
  kill(shim, SIGKILL);
  Await([](const Status& s) { return s.phase() == Status::READY && s.incarnation() == 2; },
        "web-2");
  std::vector<std::string> details;
  for (const Status& status : History()) {
    if (status.phase() == Status::BACKOFF) details.push_back(status.detail());
  }
  EXPECT_THAT(details, ElementsAre("exited with code 3"));
}

}  // namespace
}  // namespace pando::agent
