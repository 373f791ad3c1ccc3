// The agent's loop with real shims and real processes, without a controller.
#include "agent/agent_loop.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <future>

#include "absl/strings/str_cat.h"
#include "agent/shim/protocol.h"
#include "agent/testing/agent_loop_fixture.h"

namespace pando::agent {
namespace {

using testing::ElementsAre;
using Status = v1::InstanceStatus;

TEST_F(AgentLoopTest, StartsAnAppAndTellsWhenItIsReady) {
  ASSERT_TRUE(SetOrders(MakeOrders(MakeSpec({TestApp(), "listen", "wait"}), 2)).ok());
  const Status first = AwaitPhase(Status::READY);
  const Status second = AwaitPhase(Status::READY, "web-2");
  EXPECT_NE(first.port(), second.port());
  EXPECT_TRUE(IsAlive(static_cast<pid_t>(first.pid())));
  EXPECT_EQ(first.incarnation(), 1u);
  EXPECT_EQ(first.restarts(), 0u);
  EXPECT_EQ(first.revision(), 7u);
  EXPECT_GT(first.started_unix_ms(), 0);
  EXPECT_EQ(agent_->orders_version(), 1u);
}

TEST_F(AgentLoopTest, TheAppSeesItsEnvironmentAndNothingElseOfTheAgents) {
  setenv("PANDO_AGENT_SECRET", "x", 1);
  setenv("TZ", "UTC", 1);
  setenv("TMPDIR", "/tmp", 1);
  v1::AppSpec spec = MakeSpec({TestApp(), "env", "cwd", "listen", "wait"});
  spec.set_dir(temp_.path());
  (*spec.mutable_env())["GREETING"] = "two words";
  (*spec.mutable_env())["PORT"] = "1";
  (*spec.mutable_env())["PATH"] = "/usr/bin:/bin";
  ASSERT_TRUE(SetOrders(MakeOrders(spec, 1)).ok());
  const Status status = AwaitPhase(Status::READY);
  std::vector<std::string> want = {"GREETING=two words",
                                   "NODE_APP_INSTANCE=0",
                                   "PANDO_APP=web",
                                   "PANDO_INSTANCE=web.1",
                                   "PANDO_INSTANCE_DIR=" + Dir(),
                                   "PANDO_NODE=node-1",
                                   "PANDO_REVISION=7",
                                   "PATH=/usr/bin:/bin",
                                   "PORT=" + std::to_string(status.port())};
  for (const char* name : {"HOME", "LANG", "TZ"}) {
    if (const char* value = getenv(name)) want.push_back(std::string(name) + "=" + value);
  }
  std::sort(want.begin(), want.end());
  for (std::string& line : want) line.insert(0, "o ");
  want.push_back("o " + std::filesystem::canonical(temp_.path()).string());
  EXPECT_TRUE(Eventually([&] { return Log() == want; }));
  EXPECT_EQ(Log(), want);
}

TEST_F(AgentLoopTest, CapturesOutputAndExitCodeAndStartsAgain) {
  v1::AppSpec spec = MakeSpec({TestApp(), "print", "hello", "err", "oops", "exit", "7"});
  ASSERT_TRUE(SetOrders(MakeOrders(spec, 1)).ok());
  const Status status = Await([](const Status& s) { return s.failed_starts() >= 2; });
  EXPECT_EQ(status.detail(), "exited with code 7");
  EXPECT_EQ(status.phase(), Status::BACKOFF);
  EXPECT_EQ(status.pid(), 0);
  EXPECT_EQ(status.port(), 0u);
  EXPECT_GE(status.restarts(), 1u);
  EXPECT_THAT(Log(), testing::IsSupersetOf({"o hello", "e oops"}));
}

TEST_F(AgentLoopTest, StopsWithTheSignalAndRemovesTheFiles) {
  ASSERT_TRUE(SetOrders(MakeOrders(MakeSpec({TestApp(), "listen", "wait"}), 1)).ok());
  const Status status = AwaitPhase(Status::READY);
  ASSERT_TRUE(SetOrders(MakeOrders(MakeSpec({}), 0)).ok());
  AwaitGone();
  EXPECT_FALSE(IsAlive(static_cast<pid_t>(status.pid())));
  EXPECT_TRUE(Eventually([&] { return !std::filesystem::exists(Dir()); }));
  EXPECT_EQ(History().back().phase(), Status::STOPPING);
}

TEST_F(AgentLoopTest, KillsWhatIgnoresTheSignalAfterItsGrace) {
  v1::AppSpec spec = MakeSpec({TestApp(), "ignore-term", "listen", "wait"});
  spec.mutable_stop()->set_grace_ms(300);
  ASSERT_TRUE(SetOrders(MakeOrders(spec, 1)).ok());
  const Status status = AwaitPhase(Status::READY);
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(SetOrders(MakeOrders(spec, 0)).ok());
  AwaitGone();
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(300));
  EXPECT_FALSE(IsAlive(static_cast<pid_t>(status.pid())));
}

TEST_F(AgentLoopTest, LeavesNothingBehindThatAnAppStarted) {
  // One child in the app's group, one that left it; both outlive a crash of the app.
  const std::string mark = "86399" + std::to_string(getpid() % 1'000);
  ASSERT_TRUE(SetOrders(MakeOrders(MakeSpec({"/bin/sh", "-c",
                                             "sleep " + mark + " & setsid sleep " + mark +
                                                 " & sleep 0.2; exit 3"}),
                                   1))
                  .ok());
  Await([](const Status& s) { return s.incarnation() >= 2; });
  ASSERT_TRUE(SetOrders(MakeOrders(MakeSpec({}), 0)).ok());
  AwaitGone();
  EXPECT_TRUE(ProcessesWith(mark).empty());
}

TEST_F(AgentLoopTest, AKilledShimLeavesNoAppAndIsStartedAgain) {
  ASSERT_TRUE(SetOrders(MakeOrders(MakeSpec({TestApp(), "listen", "wait"}), 1)).ok());
  const Status first = AwaitReady(1);
  kill(ShimPid(), SIGKILL);
  const Status second = AwaitReady(2);
  EXPECT_FALSE(IsAlive(static_cast<pid_t>(first.pid())));
  EXPECT_NE(first.pid(), second.pid());
  bool told = false;
  for (const Status& status : History())
    told |= status.detail() == "its shim was killed, and the app with it";
  EXPECT_TRUE(told);
}

TEST_F(AgentLoopTest, ARestartOfTheAgentTakesOverWhatRuns) {
  ASSERT_TRUE(
      SetOrders(MakeOrders(MakeSpec({TestApp(), "print", "one", "listen", "wait"}), 3)).ok());
  const Status before = AwaitPhase(Status::READY);
  AwaitPhase(Status::READY, "web-2");
  AwaitPhase(Status::READY, "web-3");
  StopAgent();
  const auto begin = std::chrono::steady_clock::now();
  StartAgent();
  const auto took = std::chrono::steady_clock::now() - begin;
  std::printf("[ figure ] adoption of 3 instances: %.1f ms\n",
              std::chrono::duration<double, std::milli>(took).count());
  for (const Status& status : History()) EXPECT_EQ(status.phase(), Status::READY);
  const Status after = AwaitPhase(Status::READY);
  EXPECT_EQ(after.pid(), before.pid());
  EXPECT_EQ(after.port(), before.port());
  EXPECT_EQ(after.incarnation(), 1u);
  EXPECT_EQ(agent_->orders_version(), 1u);
  // And it can be stopped and is watched as before.
  kill(static_cast<pid_t>(before.pid()), SIGKILL);
  AwaitReady(2);
  ASSERT_TRUE(SetOrders(MakeOrders(MakeSpec({}), 0)).ok());
  AwaitGone("web-2");
}

TEST_F(AgentLoopTest, WhatEndedWhileTheAgentWasAwayIsKnownAndStartedAgain) {
  ASSERT_TRUE(SetOrders(MakeOrders(MakeSpec({TestApp(), "listen", "wait"}), 1)).ok());
  const Status before = AwaitReady(1);
  StopAgent();
  // Not SIGSEGV: sanitizers catch that one and exit.
  kill(static_cast<pid_t>(before.pid()), SIGABRT);
  ASSERT_TRUE(Eventually([&] { return ProcessesWith(Dir()).empty(); }));
  StartAgent();
  EXPECT_EQ(FirstTold().phase(), Status::BACKOFF);
  EXPECT_EQ(FirstTold().detail(), "killed by signal 6 (SIGABRT)");
  EXPECT_EQ(AwaitReady(2).port(), before.port());
}

TEST_F(AgentLoopTest, AShimKilledWhileTheAgentWasAwayLeavesNoApp) {
  ASSERT_TRUE(SetOrders(MakeOrders(MakeSpec({TestApp(), "listen", "wait"}), 1)).ok());
  const Status before = AwaitReady(1);
  const pid_t shim = ShimPid();
  StopAgent();
  kill(shim, SIGKILL);
  ASSERT_TRUE(Eventually([&] { return !IsAlive(shim); }));
  StartAgent();
  AwaitReady(2);
  EXPECT_FALSE(IsAlive(static_cast<pid_t>(before.pid())));
  EXPECT_EQ(FirstTold().detail(), "its shim was killed");
}

TEST_F(AgentLoopTest, SaysWhyAnAppCannotBeStarted) {
  const std::string plain = temp_.path() + "/plain.txt";
  const std::string script = temp_.path() + "/script";
  ASSERT_TRUE(WriteFileAtomically(plain, "text").ok());
  ASSERT_TRUE(WriteFileAtomically(script, "#!/no/such/interpreter\n").ok());
  chmod(plain.c_str(), 0644);
  chmod(script.c_str(), 0755);
  struct Case {
    std::vector<std::string> command;
    std::string dir;
    std::string want;
  };
  const Case cases[] = {
      {{"/app/serve"}, "", "no such file: /app/serve"},
      {{"bin/serve"}, temp_.path(), "no such file: " + temp_.path() + "/bin/serve"},
      {{"no-such-command-here"}, "", "command not found: no-such-command-here (PATH is /bin)"},
      {{plain}, "", "not executable: " + plain},
      {{script}, "", "cannot run " + script + ": its interpreter does not exist"},
      {{TestApp()}, "/no/such/dir", "no such directory: /no/such/dir"},
      {{}, "", "the app has no command"},
  };
  v1::Orders orders;
  uint32_t number = 0;
  for (const Case& c : cases) {
    v1::AppSpec spec = MakeSpec(c.command);
    spec.set_dir(c.dir);
    (*spec.mutable_env())["PATH"] = "/bin";
    v1::Orders one = MakeOrders(spec, 1);
    one.mutable_assignments(0)->set_id("web-" + std::to_string(++number));
    one.mutable_assignments(0)->set_revision(number);
    one.mutable_revisions(0)->set_revision(number);
    orders.MergeFrom(one);
  }
  ASSERT_TRUE(SetOrders(orders).ok());
  number = 0;
  for (const Case& c : cases) {
    const Status status = AwaitPhase(Status::FAILED, "web-" + std::to_string(++number));
    EXPECT_EQ(status.detail(), c.want);
    EXPECT_EQ(status.pid(), 0);
  }
  // It is tried again, and runs when the cause is gone.
  std::filesystem::create_directory(temp_.path() + "/bin");
  std::filesystem::create_symlink("/bin/true", temp_.path() + "/bin/serve");
  Await([](const Status& s) { return s.detail() == "exited with code 0"; }, "web-2");
}

TEST_F(AgentLoopTest, SkipsPortsThatAreTaken) {
  StopAgent();
  ports_.last = static_cast<uint16_t>(ports_.first + 1);
  StartAgent();
  const UniqueFd taken(socket(AF_INET, SOCK_STREAM, 0));
  const int on = 1;
  setsockopt(taken.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(ports_.first);
  ASSERT_EQ(bind(taken.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(taken.get(), 1), 0);
  ASSERT_TRUE(SetOrders(MakeOrders(MakeSpec({TestApp(), "listen", "wait"}), 2)).ok());
  // One has the port that is left, the other one waits for one.
  ASSERT_TRUE(Eventually([&] {
    const std::lock_guard lock(mutex_);
    return latest_.size() == 2 &&
           (latest_["web-1"].phase() == Status::READY || latest_["web-2"].phase() == Status::READY);
  }));
  const std::string ready = [&] {
    const std::lock_guard lock(mutex_);
    return std::string(latest_["web-1"].phase() == Status::READY ? "web-1" : "web-2");
  }();
  EXPECT_EQ(AwaitPhase(Status::READY, ready).port(), ports_.last);
  EXPECT_EQ(Await([](const Status& s) { return s.phase() == Status::FAILED; },
                  ready == "web-1" ? "web-2" : "web-1")
                .detail(),
            "no free port in " + std::to_string(ports_.first) + "-" + std::to_string(ports_.last) +
                " (--port-range)");
}

TEST_F(AgentLoopTest, HttpHealthIsWatched) {
  v1::AppSpec spec = MakeSpec({TestApp(), "http"});
  spec.mutable_health()->set_kind(v1::HealthCheck::HTTP);
  spec.mutable_health()->set_path("/healthz");
  ASSERT_TRUE(SetOrders(MakeOrders(spec, 1)).ok());
  const Status ready = AwaitPhase(Status::READY);
  kill(static_cast<pid_t>(ready.pid()), SIGUSR1);
  const Status unhealthy = AwaitPhase(Status::UNHEALTHY);
  EXPECT_EQ(unhealthy.detail(), "probe failed: HTTP status 503");
  EXPECT_EQ(unhealthy.pid(), ready.pid());
}

TEST_F(AgentLoopTest, AStartThatIsNeverReadyIsStoppedAndTriedAgain) {
  v1::AppSpec spec = MakeSpec({TestApp(), "wait"});
  spec.mutable_health()->set_startup_ms(200);
  ASSERT_TRUE(SetOrders(MakeOrders(spec, 1)).ok());
  const Status status = Await([](const Status& s) { return s.failed_starts() >= 1; });
  EXPECT_EQ(status.detail(), "not ready within 200 ms: connection refused");
  Await([](const Status& s) { return s.incarnation() >= 2; });
}

TEST_F(AgentLoopTest, AShellCommandIsRunByAShell) {
  v1::AppSpec spec = MakeSpec({TestApp(), "print", "$GREETING", "listen", "wait"});
  spec.set_shell(true);
  (*spec.mutable_env())["GREETING"] = "hello";
  ASSERT_TRUE(SetOrders(MakeOrders(spec, 1)).ok());
  AwaitPhase(Status::READY);
  EXPECT_THAT(Log(), ElementsAre("o hello"));
}

TEST_F(AgentLoopTest, OrdersOfADeposedLeaderOrAnotherClusterAreRefused) {
  v1::Orders orders = MakeOrders(MakeSpec({TestApp(), "listen", "wait"}), 1);
  orders.set_term(5);
  ASSERT_TRUE(SetOrders(orders).ok());
  const Status before = AwaitPhase(Status::READY);
  v1::Orders old = MakeOrders(MakeSpec({}), 0);
  old.set_term(4);
  EXPECT_EQ(SetOrders(old).code(), absl::StatusCode::kFailedPrecondition);
  StopAgent();
  StartAgent();
  EXPECT_EQ(SetOrders(old).code(), absl::StatusCode::kFailedPrecondition);
  v1::Orders other = MakeOrders(MakeSpec({}), 0);
  other.set_term(9);
  other.set_cluster_id("c2");
  EXPECT_EQ(SetOrders(other).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(AwaitPhase(Status::READY).pid(), before.pid());
}

TEST_F(AgentLoopTest, AnIdThatLeavesTheDirectoryIsRefused) {
  v1::Orders orders = MakeOrders(MakeSpec({TestApp()}), 1);
  orders.mutable_assignments(0)->set_id("../escape");
  EXPECT_EQ(SetOrders(orders).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(AgentLoopTest, StoppedWithTheAgentInstancesComeBackWithIt) {
  ASSERT_TRUE(SetOrders(MakeOrders(MakeSpec({TestApp(), "listen", "wait"}), 2)).ok());
  AwaitPhase(Status::READY);
  const Status before = AwaitPhase(Status::READY, "web-2");
  std::promise<void> stopped;
  OnLoop([&] { agent_->StopInstances([&] { stopped.set_value(); }); });
  ASSERT_EQ(stopped.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  EXPECT_TRUE(ProcessesWith(temp_.path()).empty());
  EXPECT_TRUE(gone_.empty());
  StopAgent();
  StartAgent();
  EXPECT_EQ(
      Await([](const Status& s) { return s.phase() == Status::READY; }, "web-2").incarnation(),
      before.incarnation() + 1);
}

TEST_F(AgentLoopTest, AnExitIsReportedOnceAndBeforeTheNextStart) {
  constexpr uint32_t kRounds = 5;
  ASSERT_TRUE(SetOrders(MakeOrders(MakeSpec({TestApp(), "listen", "wait"}), 1)).ok());
  for (uint32_t round = 1; round <= kRounds; ++round) {
    kill(static_cast<pid_t>(AwaitReady(round).pid()), SIGKILL);
  }
  AwaitReady(kRounds + 1);
  std::vector<std::string> told, want;
  for (const Status& status : History()) {
    told.push_back(std::to_string(status.incarnation()) + " " + Status::Phase_Name(status.phase()) +
                   " " + status.detail());
  }
  for (uint32_t round = 1; round <= kRounds + 1; ++round) {
    const std::string incarnation = std::to_string(round);
    const std::string killed = "killed by signal 9 (SIGKILL)";
    want.push_back(incarnation + " STARTING " + (round > 1 ? killed : ""));
    want.push_back(incarnation + " READY ");
    if (round <= kRounds) want.push_back(absl::StrCat(incarnation, " BACKOFF ", killed));
  }
  EXPECT_EQ(told, want);
}

TEST_F(AgentLoopTest, TheNextAssignmentOfASlotFindsTheLogOfTheOneBefore) {
  ASSERT_TRUE(
      SetOrders(MakeOrders(MakeSpec({TestApp(), "print", "first", "listen", "wait"}), 1)).ok());
  AwaitReady(1);
  v1::Orders orders = MakeOrders(MakeSpec({TestApp(), "print", "second", "listen", "wait"}), 1);
  orders.mutable_assignments(0)->set_id("web-9");
  ASSERT_TRUE(SetOrders(orders).ok());
  AwaitGone();
  AwaitPhase(Status::READY, "web-9");
  std::string earlier, unknown;
  OnLoop([&] {
    earlier = agent_->EarlierLogPath("web-9");
    unknown = agent_->EarlierLogPath("web-1");
  });
  EXPECT_EQ(unknown, "");
  auto reader = OpenPreviousRun(Dir("web-9"), earlier, kAllLines, 0);
  ASSERT_TRUE(reader.has_value());
  const auto lines = reader->Read(10, 1'000);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].text, "first");
}

TEST_F(AgentLoopTest, ShimsAreSmall) {
  ASSERT_TRUE(SetOrders(MakeOrders(MakeSpec({TestApp(), "listen", "wait"}), 1)).ok());
  AwaitPhase(Status::READY);
  const std::string status = *ReadFile("/proc/" + std::to_string(ShimPid()) + "/status");
  const size_t at = status.find("VmRSS:");
  ASSERT_NE(at, std::string::npos);
  const int kilobytes = std::stoi(status.substr(at + 6));
  std::printf("[ figure ] shim rss: %d KiB\n", kilobytes);
#ifndef PANDO_SANITIZED
  EXPECT_LE(kilobytes, 1'536);
#endif
}

}  // namespace
}  // namespace pando::agent
