// The whole agent against a controller of the test's own, over real gRPC.
#include "agent/agent_app.h"

#include <gmock/gmock.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "agent/testing/test_harness.h"
#include "pando/v1/agent.grpc.pb.h"

namespace pando::agent {
namespace {

using Status = v1::InstanceStatus;
using Stream = grpc::ServerReaderWriter<v1::ControllerMessage, v1::AgentMessage>;

// Serves one session at a time and keeps what it hears.
class FakeController {
 public:
  // Port 0 takes a free one.
  void Listen(int port) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::InsecureServerCredentials(),
                             &port_);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1'000);
    service_ = std::make_unique<Service>(*this);
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }
  // Breaks all sessions, as the end of the process would.
  void Shutdown() {
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
    server_.reset();
    service_.reset();
  }
  int port() const { return port_; }

  void Send(const v1::ControllerMessage& message) {
    const std::lock_guard lock(mutex_);
    if (stream_ != nullptr) stream_->Write(message);
  }
  void SendOrders(const v1::Orders& orders) {
    v1::ControllerMessage message;
    *message.mutable_orders() = orders;
    Send(message);
  }
  void WelcomeWith(v1::ControllerMessage answer) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
  }

  // Takes the oldest message that fits, waiting for it.
  v1::AgentMessage Await(const std::function<bool(const v1::AgentMessage&)>& fits) {
    v1::AgentMessage found;
    EXPECT_TRUE(Eventually([&] {
      const std::lock_guard lock(mutex_);
      for (auto it = heard_.begin(); it != heard_.end(); ++it) {
        if (!fits(*it)) continue;
        found = std::move(*it);
        heard_.erase(heard_.begin(), it + 1);
        return true;
      }
      return false;
    }));
    return found;
  }
  v1::Hello AwaitHello() {
    return Await([](const auto& m) { return m.has_hello(); }).hello();
  }
  Status AwaitPhase(Status::Phase phase) {
    return Await([phase](const auto& m) { return m.has_status() && m.status().phase() == phase; })
        .status();
  }
  int sessions() {
    const std::lock_guard lock(mutex_);
    return sessions_;
  }

 private:
  // One for each server: gRPC ties a service to the server it was registered with.
  class Service final : public v1::AgentService::Service {
   public:
    explicit Service(FakeController& controller) : controller_(controller) {}
    grpc::Status Session(grpc::ServerContext*, Stream* stream) override {
      return controller_.Serve(stream);
    }

   private:
    FakeController& controller_;
  };

  grpc::Status Serve(Stream* stream) {
    v1::AgentMessage message;
    bool first = true;
    while (stream->Read(&message)) {
      const std::lock_guard lock(mutex_);
      EXPECT_EQ(message.has_hello(), first);
      if (std::exchange(first, false)) {
        ++sessions_;
        stream_ = stream;
        stream->Write(answer_);
        if (answer_.has_reject()) break;
      }
      heard_.push_back(message);
    }
    const std::lock_guard lock(mutex_);
    if (stream_ == stream) stream_ = nullptr;
    return grpc::Status::OK;
  }

  static v1::ControllerMessage DefaultAnswer() {
    v1::ControllerMessage message;
    message.mutable_welcome()->set_cluster_id("c1");
    message.mutable_welcome()->set_term(3);
    message.mutable_welcome()->set_heartbeat_interval_ms(20);
    return message;
  }

  std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
  std::mutex mutex_;
  v1::ControllerMessage answer_ = DefaultAnswer();
  Stream* stream_ = nullptr;
  int sessions_ = 0;
  std::deque<v1::AgentMessage> heard_;
};

class AgentAppTest : public testing::Test {
 protected:
  AgentAppTest() {
    controller_.Listen(0);
    StartAgent();
  }
  ~AgentAppTest() override {
    if (app_) StopAgent(/*stop_instances=*/true);
    controller_.Shutdown();
    EXPECT_TRUE(Eventually([&] { return ProcessesWith(temp_.path()).empty(); }));
  }

  void StartAgent() {
    AgentOptions options;
    options.data_dir = temp_.path() + "/data";
    options.node = "node-1";
    options.controller = {"127.0.0.1", static_cast<uint16_t>(controller_.port())};
    options.http_listen = "127.0.0.1:0";
    options.ports = PortsOfThisProcess();
    options.labels = {{"zone", "a"}};
    options.max_instances = 10;
    options.shim_path = ShimPath();
    // What ends a test ends its instances.
    options.stop_instances_on_exit = stop_instances_;
    auto app = AgentApp::Create(options);
    ASSERT_TRUE(app.ok()) << app.status();
    app_ = *std::move(app);
    thread_ = std::thread([this] { app_->Run(); });
  }

  void StopAgent(bool stop_instances) {
    if (stop_instances && !stop_instances_) {
      StopAgent(false);
      stop_instances_ = true;
      StartAgent();
    }
    app_->loop().Post([this] { app_->RequestStop(); });
    thread_.join();
    app_.reset();
  }

  static v1::Orders Orders(uint32_t replicas) {
    v1::Orders orders =
        MakeOrders(MakeSpec({TestApp(), "print", "hello", "listen", "wait"}), replicas);
    orders.set_term(3);
    orders.set_version(replicas + 10);
    return orders;
  }

  TempDir temp_;
  FakeController controller_;
  bool stop_instances_ = false;
  std::unique_ptr<AgentApp> app_;
  std::thread thread_;
};

TEST_F(AgentAppTest, SaysHelloAndDoesAsOrdered) {
  const v1::Hello hello = controller_.AwaitHello();
  EXPECT_EQ(hello.node(), "node-1");
  EXPECT_EQ(hello.agent_id().size(), 32u);
  EXPECT_EQ(hello.address(), "127.0.0.1");
  EXPECT_EQ(hello.labels().at("zone"), "a");
  EXPECT_EQ(hello.max_instances(), 10u);
  EXPECT_GT(hello.cpu_millis(), 0u);
  EXPECT_GT(hello.memory_bytes(), 0u);
  EXPECT_EQ(hello.cluster_id(), "");
  EXPECT_TRUE(hello.instances().empty());

  controller_.SendOrders(Orders(1));
  // STARTING may have been followed by READY before it was sent, and STOPPING by the end.
  const Status ready = controller_.AwaitPhase(Status::READY);
  EXPECT_EQ(ready.app(), "web");
  EXPECT_GT(ready.pid(), 0);
  controller_.Await(
      [](const auto& m) { return m.has_heartbeat() && m.heartbeat().orders_version() == 11; });

  controller_.SendOrders(Orders(0));
  EXPECT_EQ(controller_.Await([](const auto& m) { return m.has_gone(); }).gone().assignment_id(),
            "web-1");
  EXPECT_FALSE(IsAlive(static_cast<pid_t>(ready.pid())));
}

TEST_F(AgentAppTest, ComesBackToARestartedControllerWithAllItHas) {
  controller_.AwaitHello();
  controller_.SendOrders(Orders(2));
  controller_.AwaitPhase(Status::READY);
  const Status before = controller_.AwaitPhase(Status::READY);
  const int port = controller_.port();
  controller_.Shutdown();
  EXPECT_TRUE(IsAlive(static_cast<pid_t>(before.pid())));
  controller_.Listen(port);
  const v1::Hello hello = controller_.AwaitHello();
  EXPECT_EQ(hello.cluster_id(), "c1");
  ASSERT_EQ(hello.instances().size(), 2);
  for (const Status& status : hello.instances()) EXPECT_EQ(status.phase(), Status::READY);
}

TEST_F(AgentAppTest, AnAgentsRestartIsInvisibleToInstances) {
  const std::string agent_id = controller_.AwaitHello().agent_id();
  controller_.SendOrders(Orders(1));
  const Status before = controller_.AwaitPhase(Status::READY);
  StopAgent(/*stop_instances=*/false);
  EXPECT_TRUE(IsAlive(static_cast<pid_t>(before.pid())));
  StartAgent();
  const v1::Hello hello = controller_.AwaitHello();
  EXPECT_EQ(hello.agent_id(), agent_id);
  ASSERT_EQ(hello.instances().size(), 1);
  EXPECT_EQ(hello.instances(0).pid(), before.pid());
  EXPECT_EQ(hello.instances(0).phase(), Status::READY);
  EXPECT_EQ(hello.instances(0).incarnation(), 1u);
}

TEST_F(AgentAppTest, WithoutAControllerItRunsItsLastOrders) {
  controller_.AwaitHello();
  controller_.SendOrders(Orders(1));
  const Status before = controller_.AwaitPhase(Status::READY);
  StopAgent(/*stop_instances=*/false);
  kill(static_cast<pid_t>(before.pid()), SIGKILL);
  ASSERT_TRUE(Eventually([&] { return ProcessesWith(temp_.path()).empty(); }));
  const int port = controller_.port();
  controller_.Shutdown();
  StartAgent();
  ASSERT_TRUE(Eventually([&] { return !ProcessesWith(temp_.path() + "/data/instances").empty(); }));
  controller_.Listen(port);
  EXPECT_EQ(controller_.AwaitHello().instances(0).incarnation(), 2u);
}

TEST_F(AgentAppTest, ADeposedLeadersOrdersChangeNothing) {
  controller_.AwaitHello();
  controller_.SendOrders(Orders(1));
  controller_.AwaitPhase(Status::READY);
  v1::Orders old = Orders(0);
  old.set_term(2);
  controller_.SendOrders(old);
  v1::Orders two = Orders(2);
  controller_.SendOrders(two);  // answered after the old ones were refused
  controller_.Await([](const auto& m) {
    EXPECT_FALSE(m.has_gone());
    EXPECT_NE(m.status().phase(), Status::STOPPING);
    return m.status().assignment_id() == "web-2" && m.status().phase() == Status::READY;
  });
}

TEST_F(AgentAppTest, AnotherClustersControllerIsNotObeyed) {
  controller_.AwaitHello();
  controller_.SendOrders(Orders(1));
  const Status before = controller_.AwaitPhase(Status::READY);
  const int port = controller_.port();
  controller_.Shutdown();
  v1::ControllerMessage welcome;
  welcome.mutable_welcome()->set_cluster_id("c2");
  welcome.mutable_welcome()->set_term(9);
  controller_.WelcomeWith(welcome);
  controller_.Listen(port);
  controller_.AwaitHello();
  v1::Orders none = Orders(0);
  none.set_cluster_id("c2");
  none.set_term(9);
  controller_.SendOrders(none);
  StopAgent(/*stop_instances=*/false);
  EXPECT_TRUE(IsAlive(static_cast<pid_t>(before.pid())));
  EXPECT_EQ(controller_.sessions(), 2);
  StartAgent();
}

TEST_F(AgentAppTest, ARejectedAgentTriesAgainSlowly) {
  controller_.AwaitHello();
  const int port = controller_.port();
  controller_.Shutdown();
  v1::ControllerMessage reject;
  reject.mutable_reject()->set_reason("the name node-1 is taken");
  controller_.WelcomeWith(reject);
  controller_.Listen(port);
  ASSERT_TRUE(Eventually([&] { return controller_.sessions() == 2; }));
  EXPECT_FALSE(Eventually([&] { return controller_.sessions() > 2; }, Millis{500}));
}

TEST_F(AgentAppTest, ServesLogsAndFollowsThem) {
  controller_.AwaitHello();
  controller_.SendOrders(Orders(1));
  controller_.AwaitPhase(Status::READY);
  v1::ControllerMessage message;
  v1::LogRequest& request = *message.mutable_log_request();
  request.set_request_id(5);
  request.set_assignment_id("web-1");
  request.set_tail_lines(10);
  request.set_follow(true);
  controller_.Send(message);
  const auto has_line = [](const v1::AgentMessage& m) {
    return m.has_log_chunk() && m.log_chunk().lines_size() > 0;
  };
  const v1::LogChunk chunk = controller_.Await(has_line).log_chunk();
  EXPECT_EQ(chunk.request_id(), 5u);
  EXPECT_EQ(chunk.lines(0).text(), "hello");
  EXPECT_GT(chunk.lines(0).time_unix_ms(), 0);

  request.set_request_id(6);
  request.set_assignment_id("unknown");
  controller_.Send(message);
  const v1::LogChunk refused =
      controller_.Await([](const auto& m) { return m.log_chunk().request_id() == 6; }).log_chunk();
  EXPECT_TRUE(refused.end());
  EXPECT_EQ(refused.error(), "no such instance on this node");

  // A followed log ends with its instance, when all of it was asked for.
  v1::ControllerMessage more;
  more.mutable_log_request()->set_request_id(5);
  for (int i = 0; i < 4; ++i) controller_.Send(more);
  controller_.SendOrders(Orders(0));
  controller_.Await(
      [](const auto& m) { return m.log_chunk().request_id() == 5 && m.log_chunk().end(); });
}

TEST_F(AgentAppTest, ASecondAgentOnTheSameDirectoryIsRefused) {
  AgentOptions options;
  options.data_dir = temp_.path() + "/data";
  options.http_listen = "127.0.0.1:0";
  const auto second = AgentApp::Create(options);
  EXPECT_THAT(std::string(second.status().message()), testing::HasSubstr("in use by process"));
}

}  // namespace
}  // namespace pando::agent
