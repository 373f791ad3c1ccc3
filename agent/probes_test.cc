// What becomes of instances by what their probes say, with real processes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/testing/agent_loop_fixture.h"

namespace pando::agent {
namespace {

class ProbesTest : public AgentLoopTest {
 protected:
  static void AskHttp(v1::HealthCheck& check) {
    check.set_kind(v1::HealthCheck::HTTP);
    check.set_path("/healthz");
    check.set_interval_ms(50);
    check.set_timeout_ms(2'000);
    check.set_unhealthy_threshold(2);
  }
  static void AskCommand(v1::HealthCheck& check, const std::string& script) {
    check.set_kind(v1::HealthCheck::EXEC);
    for (const char* word : {"sh", "-c"}) check.add_command(word);
    check.add_command(script);
    check.set_interval_ms(50);
    check.set_timeout_ms(10'000);
    check.set_unhealthy_threshold(2);
  }
  static bool Accepts(uint32_t port) {
    const UniqueFd fd(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  static void Signal(const Status& status) { kill(static_cast<pid_t>(status.pid()), SIGUSR1); }
};

TEST_F(ProbesTest, AnAppThatHangsIsStartedAgainAndTheReasonIsTold) {
  v1::AppSpec spec = MakeSpec({TestApp(), "http"});
  AskHttp(*spec.mutable_liveness());
  ASSERT_TRUE(SetOrders(MakeOrders(spec, 1)).ok());
  const Status first = AwaitReady(1);
  Signal(first);  // answers 503 from now on, while the port still accepts connections
  const Status second = AwaitReady(2);
  EXPECT_FALSE(IsAlive(static_cast<pid_t>(first.pid())));
  EXPECT_EQ(second.restarts(), 1u);
  std::vector<std::string> told;
  for (const Status& status : History()) {
    if (status.phase() == Status::BACKOFF) told.push_back(status.detail());
  }
  EXPECT_THAT(told, testing::ElementsAre("liveness probe failed: HTTP status 503"));
}

TEST_F(ProbesTest, WithoutALivenessProbeAnUnhealthyAppIsLeftRunning) {
  v1::AppSpec spec = MakeSpec({TestApp(), "http"});
  AskHttp(*spec.mutable_health());
  ASSERT_TRUE(SetOrders(MakeOrders(spec, 1)).ok());
  const Status ready = AwaitReady(1);
  Signal(ready);
  const Status unhealthy = AwaitPhase(Status::UNHEALTHY);
  EXPECT_EQ(unhealthy.pid(), ready.pid());
  EXPECT_EQ(unhealthy.detail(), "probe failed: HTTP status 503");
  const double before = agent_metrics_.probes_total.Value();
  EXPECT_TRUE(Eventually([&] { return agent_metrics_.probes_total.Value() >= before + 5; }));
  EXPECT_EQ(AwaitPhase(Status::UNHEALTHY).pid(), ready.pid());
}

TEST_F(ProbesTest, NothingElseIsAskedBeforeTheStartupProbePasses) {
  v1::AppSpec spec = MakeSpec({TestApp(), "http"});
  spec.set_dir(temp_.path());
  AskCommand(*spec.mutable_startup(), "echo not yet; test -e migrated");
  AskHttp(*spec.mutable_liveness());
  ASSERT_TRUE(SetOrders(MakeOrders(spec, 1)).ok());
  const Status first = AwaitPhase(Status::STARTING);
  ASSERT_TRUE(Eventually([&] { return Accepts(first.port()); }));  // by then it takes the signal
  Signal(first);  // liveness would fail, were it asked
  EXPECT_TRUE(Eventually([&] { return agent_metrics_.probe_failures_total.Value() >= 5; }));
  EXPECT_EQ(AwaitPhase(Status::STARTING).incarnation(), 1u);
  ASSERT_TRUE(WriteFileAtomically(temp_.path() + "/migrated", "").ok());
  // By the liveness probe; and perhaps again, for from now on an app may be asked before it
  // listens.
  Await([](const Status& s) { return s.phase() == Status::READY && s.incarnation() >= 2; });
  std::vector<std::string> told;
  for (const Status& status : History()) {
    if (status.phase() == Status::BACKOFF) told.push_back(status.detail());
  }
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told.front(), "liveness probe failed: HTTP status 503");
}

TEST_F(ProbesTest, AStartThatNeverPassesItsProbeSaysWhy) {
  v1::AppSpec spec = MakeSpec({TestApp(), "listen", "wait"});
  AskCommand(*spec.mutable_startup(), "echo waiting for the database; exit 1");
  spec.mutable_health()->set_startup_ms(500);
  ASSERT_TRUE(SetOrders(MakeOrders(spec, 1)).ok());
  const Status status = Await([](const Status& s) { return s.failed_starts() >= 1; });
  EXPECT_EQ(status.detail(),
            "not ready within 500 ms: exited with code 1: waiting for the database");
}

TEST_F(ProbesTest, ACommandSeesTheAppsEnvironmentAndItsPort) {
  v1::AppSpec spec = MakeSpec({TestApp(), "listen", "wait"});
  spec.set_dir(temp_.path());
  (*spec.mutable_env())["GREETING"] = "hello";
  AskCommand(*spec.mutable_health(), "echo $GREETING $PORT $PANDO_INSTANCE > seen");
  ASSERT_TRUE(SetOrders(MakeOrders(spec, 1)).ok());
  const Status ready = AwaitReady(1);
  EXPECT_EQ(*ReadFile(temp_.path() + "/seen"),
            "hello " + std::to_string(ready.port()) + " web.1\n");
}

TEST_F(ProbesTest, ACommandRunsAsTheAppsUser) {
  if (getuid() != 0) GTEST_SKIP() << "only root may change the user";
  v1::AppSpec spec = MakeSpec({TestApp(), "listen", "wait"});
  spec.mutable_isolation()->set_user("nobody");
  // Passes for this user only, and with no way back.
  AskCommand(*spec.mutable_health(),
             "test \"$(id -un)\" = nobody && grep -q 'NoNewPrivs:.*1' /proc/self/status");
  ASSERT_TRUE(SetOrders(MakeOrders(spec, 1)).ok());
  AwaitReady(1);
}

TEST_F(ProbesTest, GrpcHealthIsWatched) {
  v1::AppSpec spec = MakeSpec({PANDO_TEST_GRPC_APP});
  spec.mutable_health()->set_kind(v1::HealthCheck::GRPC);
  ASSERT_TRUE(SetOrders(MakeOrders(spec, 1)).ok());
  const Status ready = AwaitReady(1);
  Signal(ready);
  const Status unhealthy = AwaitPhase(Status::UNHEALTHY);
  EXPECT_EQ(unhealthy.detail(), "probe failed: gRPC health NOT_SERVING");
  EXPECT_EQ(unhealthy.pid(), ready.pid());
}

TEST_F(ProbesTest, AnAgentThatCannotAskLeavesHealthAsItIs) {
  v1::AppSpec spec = MakeSpec({TestApp(), "listen", "wait"});
  AskCommand(*spec.mutable_health(), "exit 0");
  AskHttp(*spec.mutable_liveness());
  spec.mutable_liveness()->set_kind(v1::HealthCheck::TCP);
  ASSERT_TRUE(SetOrders(MakeOrders(spec, 1)).ok());
  const Status ready = AwaitReady(1);
  {
    const NoMoreDescriptors none;
    const Status blind = Await([](const Status& s) { return !s.detail().empty(); });
    EXPECT_THAT(blind.detail(), testing::HasSubstr("cannot be probed: "));
    EXPECT_EQ(blind.phase(), Status::READY);
    const double before = agent_metrics_.probes_total.Value();
    EXPECT_TRUE(Eventually([&] { return agent_metrics_.probes_total.Value() >= before + 5; }));
  }
  const Status seeing = Await([](const Status& s) { return s.detail().empty(); });
  EXPECT_EQ(seeing.phase(), Status::READY);
  EXPECT_EQ(seeing.pid(), ready.pid());
}

}  // namespace
}  // namespace pando::agent
