#include "agent/prober.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <future>
#include <thread>

#include "agent/testing/canned_server.h"
#include "agent/testing/test_harness.h"
#include "common/runtime/unique_fd.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace pando::agent {
namespace {

using ::grpc::health::v1::HealthCheckRequest;
using ::grpc::health::v1::HealthCheckResponse;
using testing::Each;
using testing::HasSubstr;

class ProberTest : public testing::Test {
 protected:
  ProberTest() : thread_([this] { loop_.Run(); }) {
    policy_.kind = ProbePolicy::Kind::kHttp;
    policy_.path = "/healthz";
    policy_.timeout = Millis{5'000};
  }
  ~ProberTest() override {
    loop_.Stop();
    thread_.join();
  }
  ProbeAnswer Ask(uint16_t port) {
    std::promise<ProbeAnswer> result;
    loop_.Post([&] {
      prober_.Probe(policy_, port, [&](const ProbeAnswer& answer) { result.set_value(answer); });
    });
    return result.get_future().get();
  }
  std::string Probe(uint16_t port) { return Ask(port).failure; }

  EventLoop loop_;
  Prober prober_{loop_};
  ProbePolicy policy_;
  std::thread thread_;
};

TEST_F(ProberTest, HttpAnswersDecide) {
  struct Case {
    std::string answer;
    std::string want;
  };
  const Case cases[] = {
      {"HTTP/1.1 200 OK\r\n\r\n", ""},
      {"HTTP/1.0 204\r\n\r\n", ""},
      {"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", ""},
      {"HTTP/1.1 404 Not Found\r\n\r\n", "HTTP status 404"},
      {"HTTP/1.1 503 Busy\r\n\r\n" + std::string(10'000, 'x'), "HTTP status 503"},
      {"HTTP/1.1 100 Continue\r\n\r\n", "HTTP status 100"},
      {"SSH-2.0-OpenSSH_9.2\r\n", "the answer is not HTTP"},
      {std::string(2'000, 'x'), "the answer is not HTTP"},
      {"HTT", "it closed the connection without an answer"},
  };
  for (const Case& c : cases) {
    const CannedServer server("127.0.0.1", c.answer);
    EXPECT_EQ(Probe(server.port()), c.want) << c.answer.substr(0, 30);
  }
}

TEST_F(ProberTest, SilenceIsAFailureAfterTheTimeout) {
  const CannedServer server("127.0.0.1", "");
  policy_.timeout = Millis{50};
  EXPECT_EQ(Probe(server.port()), "no answer within 50 ms");
}

TEST_F(ProberTest, ATcpProbeOnlyConnects) {
  const CannedServer server("127.0.0.1", "");
  policy_.kind = ProbePolicy::Kind::kTcp;
  EXPECT_EQ(Probe(server.port()), "");
}

TEST_F(ProberTest, WhatListensOnTheNodesOwnAddressOnlyIsFoundThere) {
  const CannedServer server("127.0.0.2", "HTTP/1.1 200 OK\r\n\r\n");
  EXPECT_EQ(Probe(server.port()), "connection refused");
  prober_.SetSecondAddress("127.0.0.2");
  EXPECT_EQ(Probe(server.port()), "");
}

TEST_F(ProberTest, TheSpecSaysWhichStatusesPass) {
  policy_.codes = {{200, 200}, {503, 504}};
  struct Case {
    std::string status;
    std::string want;
  };
  const Case cases[] = {
      {"200", ""}, {"201", "HTTP status 201"}, {"302", "HTTP status 302"}, {"503", ""},
      {"504", ""}, {"505", "HTTP status 505"}};
  for (const Case& c : cases) {
    const CannedServer server("127.0.0.1", "HTTP/1.1 " + c.status + " Word\r\n\r\n");
    EXPECT_EQ(Probe(server.port()), c.want) << c.status;
  }
}

TEST_F(ProberTest, AsksWithTheHostAndTheHeadersOfTheSpec) {
  CannedServer server("127.0.0.1", "HTTP/1.1 200 OK\r\n\r\n");
  EXPECT_EQ(Probe(server.port()), "");
  EXPECT_EQ(server.request(),
            "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(server.port()) +
                "\r\nAccept: */*\r\nUser-Agent: pando-agent\r\n"
                "Connection: close\r\n\r\n");
  policy_.host = "www.example.com";
  policy_.headers = {{"Authorization", "Basic eDp5"}, {"user-agent", "probe"}};
  EXPECT_EQ(Probe(server.port()), "");
  EXPECT_EQ(server.request(),
            "GET /healthz HTTP/1.1\r\nHost: www.example.com\r\nAccept: */*\r\n"
            "Authorization: Basic eDp5\r\nuser-agent: probe\r\nConnection: close\r\n\r\n");
}

TEST_F(ProberTest, AHostThatCannotAskSaysNothingAboutTheInstance) {
  const CannedServer server("127.0.0.1", "HTTP/1.1 200 OK\r\n\r\n");
  ProbeAnswer answer = Ask(server.port());  // the loop has what it needs from its first use on
  {
    const NoMoreDescriptors none;
    answer = Ask(server.port());
  }
  EXPECT_FALSE(answer.asked);
  EXPECT_EQ(answer.failure, "too many open files");
  // Another one: the first may have tried to accept meanwhile.
  const CannedServer later("127.0.0.1", "HTTP/1.1 200 OK\r\n\r\n");
  answer = Ask(later.port());
  EXPECT_TRUE(answer.asked);
  EXPECT_EQ(answer.failure, "");
}

// More than are looked at in one turn.
TEST_F(ProberTest, HundredsAtOnceAreEachAnsweredOnce) {
  constexpr int kProbes = 200;
  const UniqueFd listener(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in name = {};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(name);
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&name), size), 0);
  ASSERT_EQ(listen(listener.get(), 2 * kProbes), 0);
  getsockname(listener.get(), reinterpret_cast<sockaddr*>(&name), &size);
  const uint16_t port = ntohs(name.sin_port);

  std::atomic<int> passed = 0, expired = 0, others = 0;
  const auto ask = [&](Millis timeout) {
    policy_.timeout = timeout;
    std::promise<void> asked;
    loop_.Post([&] {
      for (int i = 0; i < kProbes; ++i) {
        prober_.Probe(policy_, port, [&](const ProbeAnswer& answer) {
          const std::string& failure = answer.failure;
          ++(failure.empty() ? passed : failure == "no answer within 50 ms" ? expired : others);
        });
      }
      asked.set_value();
    });
    asked.get_future().get();
  };
  ask(Millis{20'000});
  std::vector<UniqueFd> accepted;
  for (int i = 0; i < kProbes; ++i) accepted.emplace_back(accept(listener.get(), nullptr, nullptr));
  EXPECT_EQ(passed + expired + others, 0);
  const std::string answer = "HTTP/1.1 200 OK\r\n\r\n";
  for (const UniqueFd& fd : accepted) {
    EXPECT_EQ(write(fd.get(), answer.data(), answer.size()), static_cast<ssize_t>(answer.size()));
  }
  EXPECT_TRUE(Eventually([&] { return passed == kProbes; }));
  accepted.clear();
  ask(Millis{50});  // nobody answers these
  EXPECT_TRUE(Eventually([&] { return expired == kProbes; }));
  EXPECT_EQ(passed, kProbes);
  EXPECT_EQ(others, 0);
}

// ---- commands ----

class ExecProbeTest : public ProberTest {
 protected:
  ExecProbeTest() {
    policy_.kind = ProbePolicy::Kind::kExec;
    policy_.timeout = Millis{20'000};
    command_.shim_path = ShimPath();
    RunIn(temp_.path());
    command_.environment = {"PATH=/usr/bin:/bin", "PORT=20013"};
  }
  void RunIn(const std::string& dir) {
    command_.shim_arguments = {"--instance-dir", temp_.path(), "--app-dir", dir};
  }
  void Start(std::vector<std::string> argv, std::promise<ProbeAnswer>& result,
             const std::string& id = "web-1") {
    command_.argv = std::move(argv);
    loop_.Post([this, id, command = command_, policy = policy_, &result] {
      prober_.ProbeByCommand({id}, policy, command,
                             [&result](const ProbeAnswer& answer) { result.set_value(answer); });
    });
  }
  ProbeAnswer Run(std::vector<std::string> argv) {
    std::promise<ProbeAnswer> result;
    Start(std::move(argv), result);
    return result.get_future().get();
  }
  std::string Shell(const std::string& script) { return Run({"sh", "-c", script}).failure; }

  TempDir temp_;
  ProbeCommand command_;
};

TEST_F(ExecProbeTest, TheExitCodeDecidesAndTheLastLineExplains) {
  struct Case {
    std::string script;
    std::string want;
  };
  const Case cases[] = {
      {"exit 0", ""},
      {"echo fine", ""},
      {"exit 3", "exited with code 3"},
      {"echo one; echo two >&2; exit 1", "exited with code 1: two"},
      {"printf 'no line end'; exit 1", "exited with code 1: no line end"},
      {"printf 'text\\n\\n  \\n'; exit 1", "exited with code 1: text"},
      {"echo dying; kill -9 $$", "killed by signal 9 (SIGKILL): dying"},
      {"test \"$PORT\" = 20013 && test \"$(pwd -P)\" = \"" +
           std::filesystem::canonical(temp_.path()).string() + "\"",
       ""},
      {"test -t 0 || cat; exit 5", "exited with code 5"},  // standard input is empty
      {"head -c 100000 /dev/zero | tr '\\0' x; exit 1",
       "exited with code 1: " + std::string(200, 'x')},
  };
  for (const Case& c : cases) EXPECT_EQ(Shell(c.script), c.want) << c.script;
}

TEST_F(ExecProbeTest, ACommandThatIsNotThereFails) {
  EXPECT_EQ(Run({"/no/such/check"}).failure, "exited with code 127: no such file: /no/such/check");
  RunIn("/no/such/dir");
  EXPECT_EQ(Run({"true"}).failure, "exited with code 127: no such directory: /no/such/dir");
}

TEST_F(ExecProbeTest, AtTheTimeoutTheWholeGroupIsKilled) {
  const std::string mark = "86398" + std::to_string(getpid() % 1'000);
  policy_.timeout = Millis{300};
  EXPECT_EQ(Shell("sleep " + mark + " & echo waiting; sleep " + mark),
            "no exit within 300 ms: waiting");
  EXPECT_TRUE(Eventually([&] { return ProcessesWith(mark).empty(); }));
}

TEST_F(ExecProbeTest, WhatItLeavesBehindIsKilled) {
  const std::string mark = "86397" + std::to_string(getpid() % 1'000);
  EXPECT_EQ(Shell("sleep " + mark + " & exit 0"), "");
  EXPECT_TRUE(Eventually([&] { return ProcessesWith(mark).empty(); }));
}

TEST_F(ExecProbeTest, AnInstancesCommandRunsOnceAtATime) {
  const std::string gate = temp_.path() + "/gate";
  ASSERT_EQ(mkfifo(gate.c_str(), 0600), 0);
  std::promise<ProbeAnswer> first, second, other;
  Start({"cat", gate}, first);
  Start({"true"}, second);
  EXPECT_EQ(second.get_future().get().failure, "the command of the probe before still runs");
  Start({"true"}, other, "web-2");
  EXPECT_EQ(other.get_future().get().failure, "");
  { const UniqueFd open_gate(open(gate.c_str(), O_WRONLY)); }
  EXPECT_EQ(first.get_future().get().failure, "");
  EXPECT_EQ(Shell("exit 0"), "");
}

TEST_F(ExecProbeTest, WhatCannotBeStartedHereSaysNothingAboutTheInstance) {
  command_.shim_path = "/no/such/shim";
  const ProbeAnswer answer = Run({"true"});
  EXPECT_FALSE(answer.asked);
  EXPECT_THAT(answer.failure, HasSubstr("cannot start a process"));
}

TEST_F(ExecProbeTest, TheAgentsEndIsTheEndOfItsCommands) {
  const std::string mark = "86396" + std::to_string(getpid() % 1'000);
  auto prober = std::make_unique<Prober>(loop_);
  command_.argv = {"sleep", mark};
  std::promise<void> started, ended;
  loop_.Post([&] {
    prober->ProbeByCommand({"web-1"}, policy_, command_, [](const ProbeAnswer&) { FAIL(); });
    started.set_value();
  });
  started.get_future().get();
  EXPECT_TRUE(Eventually([&] { return !ProcessesWith(mark).empty(); }));
  loop_.Post([&] {
    prober.reset();
    ended.set_value();
  });
  ended.get_future().get();
  EXPECT_TRUE(Eventually([&] { return ProcessesWith(mark).empty(); }));
}

TEST(LastLineTest, IsTheLastThatIsNotBlankAndBounded) {
  const auto last = [](const std::vector<std::string>& texts) {
    LastLine line;
    for (const std::string& text : texts) line.Append(text);
    return line.Get();
  };
  EXPECT_EQ(last({}), "");
  EXPECT_EQ(last({"a\nb\n"}), "b");
  EXPECT_EQ(last({"a\nb", "c"}), "bc");
  EXPECT_EQ(last({"a\r\n", "\n \n"}), "a");
  EXPECT_EQ(last({std::string(1'000, 'x')}), std::string(200, 'x'));
  EXPECT_EQ(last({"\xff\n"}), "\xEF\xBF\xBD");
}

// ---- gRPC ----

class FakeHealth final : public ::grpc::health::v1::Health::Service {
 public:
  ::grpc::Status Check(::grpc::ServerContext* context, const HealthCheckRequest* request,
                       HealthCheckResponse* response) override {
    {
      const std::lock_guard lock(mutex_);
      peers_.push_back(context->peer());
    }
    if (request->service() == "unknown") return {::grpc::StatusCode::NOT_FOUND, "who?"};
    if (request->service() == "none") return {::grpc::StatusCode::UNIMPLEMENTED, ""};
    if (request->service() == "broken") return {::grpc::StatusCode::INTERNAL, "a pipe broke"};
    response->set_status(request->service() == "away" ? HealthCheckResponse::NOT_SERVING
                                                      : HealthCheckResponse::SERVING);
    return ::grpc::Status::OK;
  }
  // Of each question, the connection it came over.
  std::vector<std::string> peers() {
    const std::lock_guard lock(mutex_);
    return peers_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> peers_;
};

std::unique_ptr<::grpc::Server> Serve(FakeHealth& health, int& port) {
  ::grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:" + std::to_string(port), ::grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterService(&health);
  return builder.BuildAndStart();
}

class GrpcProbeTest : public ProberTest {
 protected:
  GrpcProbeTest() {
    policy_.kind = ProbePolicy::Kind::kGrpc;
    policy_.timeout = Millis{20'000};
  }
};

TEST_F(GrpcProbeTest, TheServersHealthDecides) {
  FakeHealth health;
  int port = 0;
  const auto server = Serve(health, port);
  struct Case {
    std::string service;
    std::string want;
  };
  const Case cases[] = {
      {"", ""},
      {"acme.v1.Orders", ""},
      {"away", "gRPC health NOT_SERVING"},
      {"unknown", "gRPC health knows no service \"unknown\""},
      {"none", "it does not serve grpc.health.v1.Health"},
      {"broken", "gRPC status 13: a pipe broke"},
  };
  for (const Case& c : cases) {
    policy_.service = c.service;
    EXPECT_EQ(Probe(static_cast<uint16_t>(port)), c.want) << c.service;
  }
  server->Shutdown();
  EXPECT_EQ(Probe(static_cast<uint16_t>(port)), "connection refused");
}

TEST_F(GrpcProbeTest, AnAppThatAnswersIsAskedAgainOverTheSameConnection) {
  FakeHealth health;
  int port = 0;
  auto server = Serve(health, port);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Probe(static_cast<uint16_t>(port)), "");
  EXPECT_THAT(health.peers(), Each(health.peers().at(0)));
  // The next one at this port is asked over a connection of its own, and what became of the old one
  // is no failure.
  server->Shutdown();
  server.reset();
  FakeHealth next;
  server = Serve(next, port);
  ASSERT_NE(server, nullptr);
  EXPECT_EQ(Probe(static_cast<uint16_t>(port)), "");
  EXPECT_EQ(next.peers().size(), 1u);
}

TEST_F(GrpcProbeTest, AConnectionIsKeptForAWhileOnly) {
  FakeHealth health;
  int port = 0;
  const auto server = Serve(health, port);
  auto prober = std::make_unique<GrpcProber>(loop_, /*kept_for=*/Millis{0});
  for (int i = 0; i < 2; ++i) {
    std::promise<std::string> failure;
    loop_.Post([&] {
      prober->Probe({"127.0.0.1:" + std::to_string(port)}, "", policy_.timeout,
                    [&](const ProbeAnswer& answer) { failure.set_value(answer.failure); });
    });
    EXPECT_EQ(failure.get_future().get(), "");
  }
  std::promise<void> gone;
  loop_.Post([&] {
    prober.reset();
    gone.set_value();
  });
  gone.get_future().wait();
  ASSERT_EQ(health.peers().size(), 2u);
  EXPECT_NE(health.peers()[0], health.peers()[1]);
}

TEST_F(GrpcProbeTest, WhatIsNoGrpcServerFails) {
  const CannedServer http("127.0.0.1", "HTTP/1.1 200 OK\r\n\r\n");
  EXPECT_NE(Probe(http.port()), "");
  const CannedServer silent("127.0.0.1", "");
  policy_.timeout = Millis{100};
  EXPECT_EQ(Probe(silent.port()), "no answer within 100 ms");
}

}  // namespace
}  // namespace pando::agent
