// The whole controller in one process, met through gRPC only: by an agent, a proxy and an operator.
#include <gmock/gmock.h>
#include <google/protobuf/any.pb.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <filesystem>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "controller/service/controller_app.h"
#include "controller/service/stream_test_client.h"
#include "controller/service/xds_translate.h"
#include "envoy/config/endpoint/v3/endpoint.pb.h"
#include "envoy/service/discovery/v3/discovery.grpc.pb.h"
#include "envoy/service/load_stats/v3/lrs.grpc.pb.h"
#include "pando/v1/admin.grpc.pb.h"
#include "pando/v1/agent.grpc.pb.h"

namespace pando::controller {
namespace {

namespace core = ::envoy::config::core::v3;
namespace discovery = ::envoy::service::discovery::v3;
namespace endpoint = ::envoy::config::endpoint::v3;
namespace lrs = ::envoy::service::load_stats::v3;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

constexpr char kHello[] =
    "name: hello\ncommand: [node, server.js]\nstop: {drain: 60s}\nreplicas: 2\n";

class TestAgent final : public StreamTestClient<v1::AgentMessage, v1::ControllerMessage> {
 public:
  TestAgent(const std::shared_ptr<grpc::Channel>& channel, std::string node)
      : StreamTestClient([&](grpc::ClientContext* context) {
          return v1::AgentService::NewStub(channel)->Session(context);
        }) {
    hello_.set_node(node);
    hello_.set_agent_id("agent-of-" + node);
    hello_.set_address("127.0.0.1");
    hello_.set_cpu_millis(4'000);
    hello_.set_memory_bytes(uint64_t{8} << 30);
    hello_.set_max_instances(100);
    Start();
  }
  ~TestAgent() override { Cancel(); }

  v1::Hello& hello() { return hello_; }
  void SayHello() {
    v1::AgentMessage message;
    *message.mutable_hello() = hello_;
    Write(message);
  }

  static v1::InstanceStatus Status(const std::string& assignment, v1::InstanceStatus::Phase phase) {
    v1::InstanceStatus status;
    status.set_assignment_id(assignment);
    status.set_phase(phase);
    status.set_port(20'000 + std::hash<std::string>()(assignment) % 9'000);
    status.set_pid(1'000);
    status.set_incarnation(1);
    return status;
  }
  void Report(const std::string& assignment, v1::InstanceStatus::Phase phase) {
    v1::AgentMessage message;
    *message.mutable_status() = Status(assignment, phase);
    Write(message);
  }
  void ReportGone(const std::string& assignment) {
    v1::AgentMessage message;
    message.mutable_gone()->set_assignment_id(assignment);
    Write(message);
  }

  // The assignments ordered; empty when there are not `count` in time.
  std::set<std::string> WaitForOrders(size_t count) {
    std::set<std::string> ids;
    WaitFor([&] { return orders_ && Ids(*orders_).size() == count; });
    WaitFor([&] {
      ids = orders_ ? Ids(*orders_) : std::set<std::string>{};
      return true;
    });
    return ids.size() == count ? ids : std::set<std::string>{};
  }

  v1::Welcome Welcome() {
    return Get([this] { return welcome_.value_or(v1::Welcome()); });
  }
  v1::Orders Orders() {
    return Get([this] { return orders_.value_or(v1::Orders()); });
  }

  // With the lock held only.
  std::optional<v1::Welcome> welcome_;
  std::optional<v1::Orders> orders_;
  std::string rejected_;
  std::optional<v1::LogRequest> log_request_;
  std::optional<v1::LogCancel> log_cancel_;

 private:
  static std::set<std::string> Ids(const v1::Orders& orders) {
    std::set<std::string> ids;
    for (const auto& assignment : orders.assignments()) ids.insert(assignment.id());
    return ids;
  }
  void OnMessage(const v1::ControllerMessage& message) override {
    if (message.has_welcome()) welcome_ = message.welcome();
    if (message.has_orders()) orders_ = message.orders();
    if (message.has_reject()) rejected_ = message.reject().reason();
    if (message.has_log_request()) log_request_ = message.log_request();
    if (message.has_log_cancel()) log_cancel_ = message.log_cancel();
  }

  v1::Hello hello_;
};

class TestProxy final
    : public StreamTestClient<discovery::DeltaDiscoveryRequest, discovery::DeltaDiscoveryResponse> {
 public:
  TestProxy(const std::shared_ptr<grpc::Channel>& channel, std::string id,
            std::string refuse_type = "")
      : StreamTestClient([&](grpc::ClientContext* context) {
          return discovery::AggregatedDiscoveryService::NewStub(channel)->DeltaAggregatedResources(
              context);
        }),
        id_(std::move(id)),
        refuse_type_(std::move(refuse_type)) {
    Start();
  }
  ~TestProxy() override { Cancel(); }

  using Versions = std::map<std::string, std::string>;

  // A request that asks for nothing and says something of the proxy.
  void Say(const std::string& field, const google::protobuf::Value& value) {
    discovery::DeltaDiscoveryRequest request;
    request.set_type_url(TypeUrl(ResourceType::kCluster));
    request.mutable_node()->set_id(id_);
    request.mutable_node()->set_user_agent_name("pando-proxy");
    auto& metadata = *request.mutable_node()->mutable_metadata()->mutable_fields();
    (*metadata["pando"].mutable_struct_value()->mutable_fields())[field] = value;
    Write(request);
  }
  void Say(const std::string& field, const std::string& text) {
    google::protobuf::Value value;
    value.set_string_value(text);
    Say(field, value);
  }
  void SayLeaving() {
    google::protobuf::Value value;
    value.set_bool_value(true);
    Say("leaving", value);
  }

  void Subscribe(ResourceType type, const std::vector<std::string>& names,
                 const Versions& initial = {}) {
    discovery::DeltaDiscoveryRequest request;
    request.mutable_node()->set_id(id_);
    request.mutable_node()->set_user_agent_name("pando-proxy");
    request.set_type_url(TypeUrl(type));
    for (const auto& name : names) request.add_resource_names_subscribe(name);
    request.mutable_initial_resource_versions()->insert(initial.begin(), initial.end());
    Write(request);
  }
  void SubscribeAll(const std::map<ResourceType, Versions>& initial = {}) {
    for (const ResourceType type : kResourceTypes) {
      const auto versions = initial.find(type);
      Subscribe(type, {"*"}, versions == initial.end() ? Versions{} : versions->second);
    }
  }

  // "HEALTHY web.1"... of an app; waits until there are as many as `want`, of these states.
  std::vector<core::HealthStatus> WaitForEndpoints(const std::string& app,
                                                   std::vector<core::HealthStatus> want) {
    std::vector<core::HealthStatus> states;
    WaitFor([&] {
      states = States(app);
      return states == want;
    });
    return states;
  }

  std::map<ResourceType, Versions> Running() {
    return Get([this] { return versions_; });
  }
  endpoint::ClusterLoadAssignment Table(const std::string& app) {
    return Get([&] { return tables_[app]; });
  }
  int Responses() {
    return Get([this] { return responses_; });
  }

  // With the lock held only.
  std::map<ResourceType, Versions> versions_;
  std::map<std::string, endpoint::ClusterLoadAssignment> tables_;
  int responses_ = 0;

 private:
  std::vector<core::HealthStatus> States(const std::string& app) const {
    std::vector<core::HealthStatus> states;
    const auto table = tables_.find(app);
    if (table == tables_.end()) return states;
    for (const auto& group : table->second.endpoints()) {
      for (const auto& each : group.lb_endpoints()) states.push_back(each.health_status());
    }
    std::sort(states.begin(), states.end());
    return states;
  }

  void OnMessage(const discovery::DeltaDiscoveryResponse& message) override {
    ++responses_;
    discovery::DeltaDiscoveryRequest answer;
    answer.set_type_url(message.type_url());
    answer.set_response_nonce(message.nonce());
    if (message.type_url() == refuse_type_) {
      answer.mutable_error_detail()->set_code(3);
      answer.mutable_error_detail()->set_message("I do not like it");
    } else {
      ResourceType type;
      ASSERT_TRUE(ParseTypeUrl(message.type_url(), &type));
      for (const auto& resource : message.resources()) {
        versions_[type][resource.name()] = resource.version();
        endpoint::ClusterLoadAssignment table;
        if (resource.resource().UnpackTo(&table)) tables_[resource.name()] = table;
      }
    }
    Write(answer);
  }

  const std::string id_;
  const std::string refuse_type_;
};

class TestLoadReporter final
    : public StreamTestClient<lrs::LoadStatsRequest, lrs::LoadStatsResponse> {
 public:
  TestLoadReporter(const std::shared_ptr<grpc::Channel>& channel, std::string id)
      : StreamTestClient([&](grpc::ClientContext* context) {
          return lrs::LoadReportingService::NewStub(channel)->StreamLoadStats(context);
        }),
        id_(std::move(id)) {
    Start();
    lrs::LoadStatsRequest request;
    request.mutable_node()->set_id(id_);
    Write(request);
  }
  ~TestLoadReporter() override { Cancel(); }

  void Report(const std::string& app, const std::string& assignment, uint64_t in_flight,
              bool draining, uint64_t tunnels = 0) {
    lrs::LoadStatsRequest request;
    endpoint::ClusterStats& stats = *request.add_cluster_stats();
    stats.set_cluster_name(app);
    auto& each = *stats.add_upstream_locality_stats()->add_upstream_endpoint_stats();
    each.set_total_requests_in_progress(in_flight);
    auto& fields = *each.mutable_metadata()->mutable_fields();
    fields["assignment"].set_string_value(assignment);
    fields["draining"].set_bool_value(draining);
    if (tunnels > 0) fields["tunnels"].set_number_value(static_cast<double>(tunnels));
    fields["answered_ms"].set_number_value(5);
    Write(request);
  }

  std::optional<lrs::LoadStatsResponse> settings_;

 private:
  void OnMessage(const lrs::LoadStatsResponse& message) override { settings_ = message; }
  const std::string id_;
};

class ControllerServiceTest : public ::testing::Test {
 protected:
  ControllerServiceTest() {
    std::string pattern = ::testing::TempDir() + "/pando-controller-XXXXXX";
    data_dir_ = mkdtemp(pattern.data());
    StartController();
  }
  ~ControllerServiceTest() override {
    StopController();
    std::filesystem::remove_all(data_dir_);
  }

  ControllerOptions Options() const {
    ControllerOptions options;
    options.data_dir = data_dir_;
    options.listen = {"127.0.0.1", 0};
    options.http_listen = {"127.0.0.1", 0};
    // No node and no proxy is given up on while a slow machine runs the test.
    options.policy.suspect_after = std::chrono::minutes(1);
    options.policy.lost_after = std::chrono::minutes(2);
    options.policy.recovery_window = std::chrono::minutes(1);
    return options;
  }

  void StartController() {
    auto app = ControllerApp::Create(Options());
    ASSERT_TRUE(app.ok()) << app.status();
    app_ = *std::move(app);
    runner_ = std::thread([this] { run_status_ = app_->Run(); });
    channel_ = grpc::CreateChannel("127.0.0.1:" + std::to_string(app_->grpc_port()),
                                   grpc::InsecureChannelCredentials());
    admin_ = v1::Admin::NewStub(channel_);
  }
  void StopController() {
    if (app_ == nullptr) return;
    app_->RequestStop();
    runner_.join();
    app_.reset();
    EXPECT_TRUE(run_status_.ok()) << run_status_;
  }

  template <class Request, class Response>
  using Method = grpc::Status (v1::Admin::Stub::*)(grpc::ClientContext*, const Request&, Response*);
  template <class Request, class Response>
  grpc::Status Call(Method<Request, Response> method, const Request& request, Response* response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kTestDeadline);
    return (admin_.get()->*method)(&context, request, response);
  }

  grpc::Status Apply(const std::string& yaml) {
    v1::ApplyRequest request;
    request.set_yaml(yaml);
    request.set_filename("app.yaml");
    request.set_base_dir("/srv");
    request.set_file_dir("/srv/hello");
    v1::ApplyResponse response;
    return Call(&v1::Admin::Stub::Apply, request, &response);
  }
  grpc::Status Scale(const std::string& app, uint32_t replicas) {
    v1::ScaleRequest request;
    request.set_app(app);
    request.set_replicas(replicas);
    v1::ChangeResponse response;
    return Call(&v1::Admin::Stub::Scale, request, &response);
  }
  std::string HttpGet(const std::string& path) {
    boost::asio::ip::tcp::iostream stream("127.0.0.1", std::to_string(app_->http_port()));
    stream << "GET " << path << " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" << std::flush;
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  v1::ClusterView View() {
    v1::ClusterView view;
    EXPECT_TRUE(Call(&v1::Admin::Stub::GetCluster, v1::ClusterRequest{}, &view).ok());
    return view;
  }
  // The first view pushed that meets `condition`; nullopt when none does in time.
  std::optional<v1::ClusterView> WatchUntil(
      const std::function<bool(const v1::ClusterView&)>& condition) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kTestDeadline);
    const auto stream = admin_->WatchCluster(&context, v1::ClusterRequest{});
    v1::ClusterView view, last;
    while (stream->Read(&view)) {
      if (condition(view)) {
        context.TryCancel();
        return view;
      }
      last = view;
    }
    ADD_FAILURE() << "the last view was: " << last.ShortDebugString();
    return std::nullopt;
  }
  static bool Settled(const v1::ClusterView& view) {
    return view.apps_size() == 1 && view.apps(0).settled();
  }

  // An app with its two instances in rotation on one node and one proxy.
  std::set<std::string> RunHello(TestAgent& agent, TestProxy& proxy) {
    agent.SayHello();
    proxy.SubscribeAll();
    const grpc::Status applied = Apply(kHello);
    EXPECT_TRUE(applied.ok()) << applied.error_message();
    const std::set<std::string> ids = agent.WaitForOrders(2);
    EXPECT_EQ(ids.size(), 2u);
    for (const auto& id : ids) agent.Report(id, v1::InstanceStatus::STARTING);
    for (const auto& id : ids) agent.Report(id, v1::InstanceStatus::READY);
    EXPECT_THAT(proxy.WaitForEndpoints("hello", {core::HEALTHY, core::HEALTHY}),
                ElementsAre(core::HEALTHY, core::HEALTHY));
    EXPECT_TRUE(WatchUntil(Settled));
    return ids;
  }

  std::string data_dir_;
  std::unique_ptr<ControllerApp> app_;
  std::thread runner_;
  absl::Status run_status_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Admin::Stub> admin_;
};

TEST_F(ControllerServiceTest, ApplyPutsInstancesIntoRotation) {
  TestAgent agent(channel_, "node-1");
  TestProxy proxy(channel_, "edge-1");
  RunHello(agent, proxy);
  ASSERT_TRUE(agent.WaitFor([&] { return agent.welcome_.has_value(); }));
  EXPECT_EQ(agent.Welcome().heartbeat_interval_ms(), 1'000u);
  const v1::Orders orders = agent.Orders();
  ASSERT_EQ(orders.revisions_size(), 1);
  EXPECT_THAT(orders.revisions(0).spec().command(), ElementsAre("node", "server.js"));
  EXPECT_EQ(orders.revisions(0).spec().dir(), "/srv/hello");
  EXPECT_EQ(orders.term(), agent.Welcome().term());

  const v1::ClusterView view = View();
  ASSERT_EQ(view.apps_size(), 1);
  EXPECT_EQ(view.apps(0).available(), 2u);
  EXPECT_EQ(view.apps(0).proxies_acked(), 1u);
  ASSERT_EQ(view.instances_size(), 2);
  EXPECT_EQ(view.instances(0).state(), "in-rotation");
  EXPECT_THAT(view.instances(0).address(), HasSubstr("127.0.0.1:2"));
  ASSERT_EQ(view.proxies_size(), 1);
  EXPECT_EQ(view.proxies(0).state(), "synced");
  ASSERT_EQ(view.nodes_size(), 1);
  EXPECT_EQ(view.nodes(0).state(), "ready");
}

TEST_F(ControllerServiceTest, NothingChangesOverARestart) {
  std::set<std::string> ids;
  std::map<ResourceType, TestProxy::Versions> versions;
  uint64_t term = 0;
  {
    TestAgent agent(channel_, "node-1");
    TestProxy proxy(channel_, "edge-1");
    ids = RunHello(agent, proxy);
    term = agent.Welcome().term();
    versions = proxy.Running();
    StopController();
    EXPECT_EQ(agent.WaitForEnd().error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_EQ(proxy.WaitForEnd().error_code(), grpc::StatusCode::UNAVAILABLE);
  }
  StartController();
  TestProxy proxy(channel_, "edge-1");
  proxy.SubscribeAll(versions);
  TestAgent agent(channel_, "node-1");
  for (const auto& id : ids) {
    *agent.hello().add_instances() = TestAgent::Status(id, v1::InstanceStatus::READY);
  }
  agent.SayHello();
  EXPECT_EQ(agent.WaitForOrders(2), ids);
  EXPECT_GT(agent.Orders().term(), term);
  ASSERT_TRUE(WatchUntil(Settled));
  EXPECT_EQ(View().apps(0).available(), 2u);
  EXPECT_EQ(proxy.Responses(), 0) << "a proxy that has everything is sent nothing";
}

TEST_F(ControllerServiceTest, ScaleDownDrainsThenStops) {
  TestAgent agent(channel_, "node-1");
  TestProxy proxy(channel_, "edge-1");
  TestLoadReporter reporter(channel_, "edge-1");
  ASSERT_TRUE(reporter.WaitFor([&] { return reporter.settings_.has_value(); }));
  const auto settings = reporter.Get([&] { return *reporter.settings_; });
  EXPECT_TRUE(settings.report_endpoint_granularity());
  EXPECT_TRUE(settings.send_all_clusters());
  const std::set<std::string> ids = RunHello(agent, proxy);

  ASSERT_TRUE(Scale("", 1).ok());
  ASSERT_THAT(proxy.WaitForEndpoints("hello", {core::HEALTHY, core::DRAINING}),
              UnorderedElementsAre(core::HEALTHY, core::DRAINING));
  std::string draining;
  const endpoint::ClusterLoadAssignment table = proxy.Table("hello");
  for (const auto& each : table.endpoints(0).lb_endpoints()) {
    if (each.health_status() != core::DRAINING) continue;
    draining =
        each.metadata().filter_metadata().at("pando").fields().at("assignment").string_value();
  }
  ASSERT_EQ(ids.count(draining), 1u);
  reporter.Report("hello", draining, 3, true, 1);
  ASSERT_TRUE(WatchUntil([&](const v1::ClusterView& view) {
    return std::any_of(view.instances().begin(), view.instances().end(), [&](const auto& i) {
      return i.in_flight() == 3 && i.tunnels() == 1 &&
             i.detail() == "waits for edge-1 (2 requests, 1 tunnels)";
    });
  }));
  EXPECT_EQ(agent.WaitForOrders(2), ids) << "stopped with requests in flight";
  reporter.Report("hello", draining, 0, true);
  const std::set<std::string> left = agent.WaitForOrders(1);
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left.count(draining), 0u);
  agent.ReportGone(draining);
  EXPECT_TRUE(WatchUntil([](const v1::ClusterView& view) { return view.instances_size() == 1; }));
}

TEST_F(ControllerServiceTest, AnInstanceThatFailsLeavesTheTable) {
  TestAgent agent(channel_, "node-1");
  TestProxy proxy(channel_, "edge-1");
  const std::set<std::string> ids = RunHello(agent, proxy);
  v1::AgentMessage message;
  *message.mutable_status() = TestAgent::Status(*ids.begin(), v1::InstanceStatus::BACKOFF);
  message.mutable_status()->clear_port();
  message.mutable_status()->clear_pid();
  message.mutable_status()->set_detail("exited with code 1");
  agent.Write(message);
  EXPECT_THAT(proxy.WaitForEndpoints("hello", {core::HEALTHY}), ElementsAre(core::HEALTHY));
}

TEST_F(ControllerServiceTest, ARefusalIsShown) {
  TestAgent agent(channel_, "node-1");
  TestProxy proxy(channel_, "edge-1", TypeUrl(ResourceType::kEndpoints));
  agent.SayHello();
  proxy.SubscribeAll();
  ASSERT_TRUE(Apply(kHello).ok());
  for (const auto& id : agent.WaitForOrders(2)) agent.Report(id, v1::InstanceStatus::READY);
  EXPECT_TRUE(WatchUntil([](const v1::ClusterView& view) {
    return view.proxies_size() == 1 &&
           view.proxies(0).nack().find("I do not like it") != std::string::npos;
  }));
  EXPECT_FALSE(View().apps(0).settled());
}

TEST_F(ControllerServiceTest, BadRequestsSayWhatIsWrong) {
  const grpc::Status bad = Apply("name: hello\ncommand: [x]\nreplica: 2\n");
  EXPECT_EQ(bad.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(bad.error_message(), HasSubstr("app.yaml:3"));
  EXPECT_THAT(bad.error_message(), HasSubstr("replica"));

  EXPECT_EQ(Scale("", 2).error_code(), grpc::StatusCode::NOT_FOUND);
  ASSERT_TRUE(Apply(kHello).ok());
  const grpc::Status unknown = Scale("web", 2);
  EXPECT_EQ(unknown.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(unknown.error_message(), HasSubstr("there are: hello"));
  ASSERT_TRUE(Apply("name: web\ncommand: [x]\nroute: {path: /web}\n").ok());
  const grpc::Status which = Scale("", 2);
  EXPECT_EQ(which.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(which.error_message(), HasSubstr("hello, web"));
}

TEST_F(ControllerServiceTest, SpecsAndVersionAreReadBack) {
  ASSERT_TRUE(Apply(kHello).ok());
  v1::SpecResponse spec;
  ASSERT_TRUE(Call(&v1::Admin::Stub::GetSpec, v1::AppRequest{}, &spec).ok());
  EXPECT_THAT(spec.yaml(), HasSubstr("name: hello"));
  EXPECT_THAT(spec.yaml(), HasSubstr("replicas: 2"));
  v1::VersionResponse version;
  ASSERT_TRUE(Call(&v1::Admin::Stub::Version, v1::VersionRequest{}, &version).ok());
  EXPECT_FALSE(version.cluster_id().empty());
}

TEST_F(ControllerServiceTest, AgentsThatMustNotBeServedAreRejected) {
  TestAgent first(channel_, "node-1");
  first.SayHello();
  ASSERT_TRUE(first.WaitFor([&] { return first.welcome_.has_value(); }));

  TestAgent twin(channel_, "node-1");
  twin.hello().set_agent_id("another");
  twin.SayHello();
  EXPECT_EQ(twin.WaitForEnd().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_FALSE(twin.rejected_.empty());

  TestAgent foreign(channel_, "node-2");
  foreign.hello().set_cluster_id("elsewhere");
  foreign.SayHello();
  foreign.WaitForEnd();
  EXPECT_THAT(foreign.rejected_, HasSubstr("belongs to cluster elsewhere"));

  TestAgent silent(channel_, "node-3");
  silent.Report("x", v1::InstanceStatus::READY);
  silent.WaitForEnd();
  EXPECT_THAT(silent.rejected_, HasSubstr("hello"));

  const v1::ClusterView view = View();
  ASSERT_EQ(view.nodes_size(), 1);
  EXPECT_EQ(view.nodes(0).state(), "ready");
}

TEST_F(ControllerServiceTest, ANewerStreamReplacesTheOlderOne) {
  TestAgent agent(channel_, "node-1");
  TestProxy proxy(channel_, "edge-1");
  RunHello(agent, proxy);
  TestAgent agent_again(channel_, "node-1");
  const v1::Orders orders = agent.Orders();
  for (const auto& assignment : orders.assignments()) {
    *agent_again.hello().add_instances() =
        TestAgent::Status(assignment.id(), v1::InstanceStatus::READY);
  }
  agent_again.SayHello();
  EXPECT_EQ(agent_again.WaitForOrders(2).size(), 2u);
  EXPECT_EQ(agent.WaitForEnd().error_code(), grpc::StatusCode::ABORTED);
  TestProxy proxy_again(channel_, "edge-1");
  proxy_again.SubscribeAll(proxy.Running());
  EXPECT_EQ(proxy.WaitForEnd().error_code(), grpc::StatusCode::ABORTED);
  ASSERT_TRUE(WatchUntil(Settled));
  const v1::ClusterView view = View();
  EXPECT_EQ(view.nodes(0).state(), "ready");
  EXPECT_EQ(view.proxies(0).state(), "synced");
}

TEST_F(ControllerServiceTest, AProxyThatIsReplacedCountsUntilItHasEnded) {
  TestProxy before(channel_, "edge-1");
  before.SubscribeAll();
  const auto proxies = [](const v1::ClusterView& view) {
    std::vector<std::string> ids;
    for (const auto& proxy : view.proxies()) ids.push_back(proxy.id());
    std::sort(ids.begin(), ids.end());
    return ids;
  };
  const std::vector<std::string> one = {"edge-1"};
  const std::vector<std::string> both = {"edge-1", "edge-1~7"};
  EXPECT_TRUE(WatchUntil([&](const v1::ClusterView& view) { return proxies(view) == one; }));
  TestProxy after(channel_, "edge-1");
  after.Say("predecessor", std::string("edge-1~7"));
  after.SubscribeAll();
  EXPECT_TRUE(WatchUntil([&](const v1::ClusterView& view) { return proxies(view) == both; }));
  TestProxy draining(channel_, "edge-1~7");
  draining.SubscribeAll();
  EXPECT_TRUE(WatchUntil([&](const v1::ClusterView& view) {
    return proxies(view) == both && view.proxies(1).state() == "synced";
  }));
  after.Say("ended", std::string("edge-1~7"));
  EXPECT_TRUE(WatchUntil([&](const v1::ClusterView& view) { return proxies(view) == one; }));
  after.SayLeaving();
  EXPECT_TRUE(after.WaitForEnd().ok());
  EXPECT_TRUE(WatchUntil([&](const v1::ClusterView& view) { return view.proxies_size() == 0; }));
}

TEST_F(ControllerServiceTest, LogsComeFromTheAgents) {
  TestAgent agent(channel_, "node-1");
  TestProxy proxy(channel_, "edge-1");
  RunHello(agent, proxy);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kTestDeadline);
  v1::LogsRequest request;
  request.set_target("hello.1");
  request.set_tail(10);
  const auto stream = admin_->Logs(&context, request);
  v1::LogRequest asked;
  ASSERT_TRUE(agent.WaitFor([&] {  // another one may replace it any time
    if (!agent.log_request_) return false;
    asked = *agent.log_request_;
    return true;
  }));
  EXPECT_EQ(asked.tail_lines(), 10u);
  v1::AgentMessage message;
  v1::LogChunk& chunk = *message.mutable_log_chunk();
  chunk.set_request_id(asked.request_id());
  chunk.add_lines()->set_text("one");
  chunk.add_lines()->set_text("two");
  chunk.set_end(true);
  agent.Write(message);
  std::vector<std::string> texts;
  for (v1::LogEntry entry; stream->Read(&entry);) {
    EXPECT_EQ(entry.instance(), "hello.1");
    texts.push_back(entry.text());
  }
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_THAT(texts, ElementsAre("one", "two"));
}

TEST_F(ControllerServiceTest, FollowedLogsTellOfALostNodeAndAreCancelled) {
  auto agent = std::make_unique<TestAgent>(channel_, "node-1");
  TestProxy proxy(channel_, "edge-1");
  const std::set<std::string> ids = RunHello(*agent, proxy);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kTestDeadline);
  v1::LogsRequest request;
  request.set_target("hello.2");
  request.set_follow(true);
  const auto stream = admin_->Logs(&context, request);
  v1::LogRequest asked;
  ASSERT_TRUE(agent->WaitFor([&] {  // another one may replace it any time
    if (!agent->log_request_) return false;
    asked = *agent->log_request_;
    return true;
  }));
  const auto chunk_of = [](uint64_t id, std::initializer_list<int64_t> times) {
    v1::AgentMessage message;
    message.mutable_log_chunk()->set_request_id(id);
    for (const int64_t time : times) {
      message.mutable_log_chunk()->add_lines()->set_time_unix_ms(time);
    }
    return message;
  };
  agent->Write(chunk_of(asked.request_id(), {5, 7, 7}));
  v1::LogEntry entry;
  for (const int64_t time : {5, 7, 7}) {
    ASSERT_TRUE(stream->Read(&entry));
    EXPECT_EQ(entry.time_unix_ms(), time);
  }
  agent.reset();
  ASSERT_TRUE(stream->Read(&entry));
  EXPECT_THAT(entry.notice(), HasSubstr("not connected"));

  TestAgent back(channel_, "node-1");
  for (const auto& id : ids) {
    *back.hello().add_instances() = TestAgent::Status(id, v1::InstanceStatus::READY);
  }
  back.SayHello();
  v1::LogRequest again;
  ASSERT_TRUE(back.WaitFor([&] {  // another one may replace it any time
    if (!back.log_request_) return false;
    again = *back.log_request_;
    return true;
  }));
  // It goes on behind the last line that came.
  EXPECT_EQ(again.since_unix_ms(), 7);
  back.Write(chunk_of(again.request_id(), {7, 7, 7, 8}));
  for (const int64_t time : {7, 8}) {
    ASSERT_TRUE(stream->Read(&entry));
    EXPECT_EQ(entry.time_unix_ms(), time) << entry.notice();
  }
  context.TryCancel();
  EXPECT_TRUE(back.WaitFor([&] { return back.log_cancel_.has_value(); }));
  EXPECT_EQ(back.log_cancel_->request_id(), again.request_id());
}

TEST_F(ControllerServiceTest, EventsAreToldKeptAndFollowed) {
  ASSERT_TRUE(Apply(kHello).ok());
  const auto kinds = [&] {
    grpc::ClientContext context;
    std::vector<std::string> result;
    const auto stream = admin_->Events(&context, v1::EventsRequest{});
    for (v1::Event event; stream->Read(&event);) result.push_back(event.kind());
    return result;
  };
  const std::vector<std::string> before = kinds();
  ASSERT_FALSE(before.empty());

  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kTestDeadline);
  v1::EventsRequest request;
  request.set_follow(true);
  request.set_tail(1);
  const auto stream = admin_->Events(&context, request);
  v1::Event last, next;
  ASSERT_TRUE(stream->Read(&last));
  ASSERT_TRUE(Scale("hello", 3).ok());
  ASSERT_TRUE(stream->Read(&next));
  EXPECT_EQ(next.sequence(), last.sequence() + 1);
  EXPECT_EQ(next.app(), "hello");
  context.TryCancel();

  const std::vector<std::string> all = kinds();
  StopController();
  StartController();
  std::vector<std::string> kept = kinds();
  ASSERT_GE(kept.size(), all.size());
  kept.resize(all.size());
  EXPECT_EQ(kept, all);
}

TEST_F(ControllerServiceTest, StateOfTheWorldIsRefusedWithAHint) {
  grpc::ClientContext context;
  const auto stub = discovery::AggregatedDiscoveryService::NewStub(channel_);
  const auto stream = stub->StreamAggregatedResources(&context);
  discovery::DiscoveryResponse response;
  EXPECT_FALSE(stream->Read(&response));
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(status.error_message(), HasSubstr("DELTA_GRPC"));
}

TEST_F(ControllerServiceTest, MetricsTellTheState) {
  TestAgent agent(channel_, "node-1");
  TestProxy proxy(channel_, "edge-1");
  RunHello(agent, proxy);
  // What is shown may not be in the store yet; events are told and counted when they are.
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kTestDeadline);
  v1::EventsRequest request;
  request.set_follow(true);
  const auto stream = admin_->Events(&context, request);
  v1::Event event;
  while (event.kind() != "live") ASSERT_TRUE(stream->Read(&event));
  context.TryCancel();
  const std::string metrics = HttpGet("/metrics");
  for (const char* line :
       {"pando_apps 1", "pando_instances{app=\"hello\",state=\"in-rotation\"} 2",
        "pando_nodes{state=\"ready\"} 1", "pando_proxies{state=\"synced\"} 1", "pando_frozen 0",
        "pando_term 1", "pando_xds_nacks_total 0", "pando_events_total{kind=\"in-rotation\"} 2"}) {
    EXPECT_THAT(metrics, HasSubstr(line));
  }
  EXPECT_THAT(HttpGet("/healthz"), HasSubstr("ok"));
}

TEST_F(ControllerServiceTest, ATakenPortIsSaidInOneLine) {
  ControllerOptions options = Options();
  options.data_dir = data_dir_ + "/other";
  options.listen.port = app_->grpc_port();
  const auto second = ControllerApp::Create(options);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("address already in use"));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("--listen"));
}

}  // namespace
}  // namespace pando::controller
