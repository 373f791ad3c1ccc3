// The proxy's control side against a real gRPC server: ADS made of the controller's DeltaStream,
// and LRS. The data plane is a fake that switches when told.
#include "proxy/control/xds_client.h"

#include <gmock/gmock.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <latch>
#include <mutex>
#include <thread>

#include "common/runtime/data_dir.h"
#include "common/runtime/digest.h"
#include "common/runtime/event_loop.h"
#include "controller/core/delta_stream.h"
#include "proxy/control/fake_data_plane.h"
#include "proxy/control/load_reporter.h"
#include "proxy/control/table_file.h"
#include "proxy/control/test_resources.h"
#include "proxy/control/xds_decode.h"

namespace pando::proxy {
namespace {

using controller::DeltaRequest;
using controller::DeltaResponse;
using controller::DeltaStream;
using controller::ResourceSet;
using controller::ResourceType;
using envoy::service::discovery::v3::AggregatedDiscoveryService;
using envoy::service::discovery::v3::DeltaDiscoveryRequest;
using envoy::service::discovery::v3::DeltaDiscoveryResponse;
using envoy::service::load_stats::v3::LoadReportingService;
using envoy::service::load_stats::v3::LoadStatsRequest;
using envoy::service::load_stats::v3::LoadStatsResponse;

constexpr std::chrono::seconds kDeadline{20};

// A controller of one process: what is Put is published to whoever is connected. Thread-safe.
class Server final : public AggregatedDiscoveryService::CallbackService,
                     public LoadReportingService::CallbackService {
 public:
  // Port 0 takes a free one.
  explicit Server(int port = 0) {
    grpc::ServerBuilder builder;
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1'000);
    builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterService(static_cast<AggregatedDiscoveryService::CallbackService*>(this));
    builder.RegisterService(static_cast<LoadReportingService::CallbackService*>(this));
    server_ = builder.BuildAndStart();
  }
  ~Server() override {
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
  }

  int port() const { return port_; }

  template <class Message>
  void Put(ResourceType type, const std::string& name, const Message& message,
           uint64_t generation = 0) {
    const std::lock_guard lock(mutex_);
    const std::string bytes = AnyBytes(message);
    resources_.Put(type, name, {ContentVersion(bytes), bytes, generation});
    if (ads_ != nullptr) ads_->Flush();
  }

  bool Wait(const std::function<bool()>& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kDeadline, condition);
  }

  // Read within Wait's condition, or when nothing can change them.
  std::map<std::string, uint64_t> acked;
  std::vector<std::string> nacks;
  std::vector<std::string> caught_up;
  int resources_sent = 0;
  int streams = 0;
  std::string node_id;
  std::deque<LoadStatsRequest> reports;

 private:
  class AdsReactor final
      : public grpc::ServerBidiReactor<DeltaDiscoveryRequest, DeltaDiscoveryResponse> {
   public:
    explicit AdsReactor(Server& server) : server_(server), stream_(server.resources_) {
      StartRead(&incoming_);
    }
    void Flush() {  // with the server's lock
      for (const DeltaResponse& response : stream_.TakeResponses()) {
        DeltaDiscoveryResponse& message = outbox_.emplace_back();
        message.set_nonce(response.nonce);
        message.set_type_url(TypeUrl(static_cast<XdsType>(response.type)));
        for (const auto& item : response.resources) {
          auto& added = *message.add_resources();
          added.set_name(item.name);
          added.set_version(item.body->version);
          added.mutable_resource()->ParseFromString(item.body->any_bytes);
          ++server_.resources_sent;
        }
        for (const std::string& name : response.removed) message.add_removed_resources(name);
      }
      for (const auto& [name, generation] : stream_.TakeCaughtUp()) {
        server_.acked[name] = generation;
        server_.caught_up.push_back(name);
      }
      WriteNext();
    }

   private:
    void OnReadDone(bool ok) override {
      const std::lock_guard lock(server_.mutex_);
      if (!ok) {
        if (server_.ads_ == this) server_.ads_ = nullptr;
        finished_ = true;
        return Finish(grpc::Status::OK);
      }
      if (incoming_.has_node()) server_.node_id = incoming_.node().id();
      DeltaRequest request;
      request.type = static_cast<ResourceType>(*ParseTypeUrl(incoming_.type_url()));
      request.subscribe.assign(incoming_.resource_names_subscribe().begin(),
                               incoming_.resource_names_subscribe().end());
      request.unsubscribe.assign(incoming_.resource_names_unsubscribe().begin(),
                                 incoming_.resource_names_unsubscribe().end());
      for (const auto& [name, version] : incoming_.initial_resource_versions()) {
        request.initial_versions[name] = version;
      }
      request.response_nonce = incoming_.response_nonce();
      if (incoming_.has_error_detail()) request.error = incoming_.error_detail().message();
      const controller::DeltaProgress progress = stream_.OnRequest(request);
      for (const auto& [name, generation] : progress.acked_endpoints) {
        server_.acked[name] = generation;
      }
      if (progress.nack) server_.nacks.push_back(*progress.nack);
      Flush();
      server_.changed_.notify_all();
      StartRead(&incoming_);
    }
    void OnWriteDone(bool ok) override {
      const std::lock_guard lock(server_.mutex_);
      writing_ = false;
      if (ok) WriteNext();
    }
    void WriteNext() {
      if (writing_ || finished_ || outbox_.empty()) return;
      writing_ = true;
      outgoing_ = std::move(outbox_.front());
      outbox_.pop_front();
      StartWrite(&outgoing_);
    }
    void OnDone() override {
      {
        const std::lock_guard lock(server_.mutex_);
        if (server_.ads_ == this) server_.ads_ = nullptr;
      }
      delete this;
    }

    Server& server_;
    DeltaStream stream_;
    std::deque<DeltaDiscoveryResponse> outbox_;
    bool writing_ = false;
    bool finished_ = false;
    DeltaDiscoveryRequest incoming_;
    DeltaDiscoveryResponse outgoing_;
  };

  class LrsReactor final : public grpc::ServerBidiReactor<LoadStatsRequest, LoadStatsResponse> {
   public:
    explicit LrsReactor(Server& server) : server_(server) { StartRead(&incoming_); }

   private:
    void OnReadDone(bool ok) override {
      if (!ok) return Finish(grpc::Status::OK);
      if (incoming_.has_node()) {
        settings_.set_send_all_clusters(true);
        settings_.mutable_load_reporting_interval()->set_seconds(60);  // tests see prompt ones
        StartWrite(&settings_);
      } else {
        const std::lock_guard lock(server_.mutex_);
        server_.reports.push_back(incoming_);
        server_.changed_.notify_all();
      }
      StartRead(&incoming_);
    }
    void OnDone() override { delete this; }

    Server& server_;
    LoadStatsRequest incoming_;
    LoadStatsResponse settings_;
  };

  grpc::ServerBidiReactor<DeltaDiscoveryRequest, DeltaDiscoveryResponse>* DeltaAggregatedResources(
      grpc::CallbackServerContext* /*context*/) override {
    const std::lock_guard lock(mutex_);
    ads_ = new AdsReactor(*this);
    ++streams;
    return ads_;
  }
  grpc::ServerBidiReactor<LoadStatsRequest, LoadStatsResponse>* StreamLoadStats(
      grpc::CallbackServerContext* /*context*/) override {
    return new LrsReactor(*this);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  ResourceSet resources_;
  AdsReactor* ads_ = nullptr;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// The control side of a proxy, on a thread of its own.
class Proxy {
 public:
  Proxy(int port, const std::string& table_path)
      : file_(table_path),
        channel_(MakeControllerChannel("127.0.0.1:" + std::to_string(port))),
        updater_(loop_, data_plane_),
        client_(loop_, channel_, MakeNode("edge-1"), "controller", updater_),
        reporter_(loop_, channel_, MakeNode("edge-1"), [this] { return data_plane_.Stats(); }) {
    data_plane_.OnDrained([this] { reporter_.OnDrained(); });
    updater_.SetHooks({
        .send = [this](const XdsRequest& request) { client_.Send(request); },
        .switched = [this](std::shared_ptr<const ProxyTable> t) { reporter_.OnTable(t); },
        .save = [this](const XdsSnapshot& snapshot) { file_.Save(snapshot); },
    });
    updater_.Restore(file_.Load());
    client_.Start();
    reporter_.Start();
    thread_ = std::thread([this] { loop_.Run(); });
  }
  ~Proxy() {
    loop_.Stop();
    thread_.join();
  }

  FakeDataPlane& fake() { return FakeDataPlane::Of(data_plane_); }

  // Looks on the loop's thread until it holds.
  bool Wait(const std::function<bool(const TableUpdater&)>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + kDeadline;
    while (std::chrono::steady_clock::now() < deadline) {
      bool holds = false;
      std::latch looked(1);
      loop_.RunAfter(Millis{2}, [&] {
        holds = condition(updater_);
        looked.count_down();
      });
      looked.wait();
      if (holds) return true;
    }
    return false;
  }

 private:
  EventLoop loop_;
  TableFile file_;
  std::shared_ptr<grpc::Channel> channel_;
  DataPlane data_plane_{DataPlaneConfig()};
  TableUpdater updater_;
  XdsClient client_;
  LoadReporter reporter_;
  std::thread thread_;
};

class XdsClientTest : public ::testing::Test {
 protected:
  XdsClientTest() : dir_(std::filesystem::temp_directory_path() / RandomHexId()) {
    std::filesystem::create_directory(dir_);
  }
  ~XdsClientTest() override { std::filesystem::remove_all(dir_); }
  std::string path() const { return dir_ / "table.pb"; }

  static void PutApp(Server& server, uint64_t generation = 1) {
    server.Put(ResourceType::kEndpoints, "web", GoodEndpoints(), generation);
    server.Put(ResourceType::kCluster, "web", GoodCluster());
    server.Put(ResourceType::kListener, "default", GoodListener());
    server.Put(ResourceType::kRoute, "default", GoodRoutes());
  }
  static bool Complete(const TableUpdater& updater) {
    return updater.table() != nullptr && updater.table()->listeners.size() == 1 &&
           updater.table()->clusters.size() == 1 &&
           !updater.table()->clusters.at("web")->endpoints.empty();
  }

  const std::filesystem::path dir_;
};

TEST_F(XdsClientTest, SubscribesAndAcknowledgesAfterTheSwitch) {
  Server server;
  PutApp(server);
  Proxy proxy(server.port(), path());
  ASSERT_TRUE(proxy.Wait(Complete));
  EXPECT_TRUE(server.Wait([&] { return server.acked["web"] == 1; }));
  EXPECT_EQ(server.node_id, "edge-1");

  proxy.fake().HoldSwitches(true);
  auto endpoints = GoodEndpoints();
  AddEndpoint(endpoints, "127.0.0.1", 20002);
  server.Put(ResourceType::kEndpoints, "web", endpoints, 2);
  ASSERT_TRUE(proxy.Wait([&](const TableUpdater&) { return proxy.fake().SwitchPending(); }));
  EXPECT_EQ(proxy.fake().table()->clusters.at("web")->endpoints.size(), 2u);
  // What comes after it on the stream has not overtaken an ACK: there is none.
  server.Put(ResourceType::kRoute, "default", [] {
    auto bad = GoodRoutes();
    bad.mutable_virtual_hosts(0)->clear_domains();
    return bad;
  }());
  ASSERT_TRUE(server.Wait([&] { return !server.nacks.empty(); }));
  EXPECT_TRUE(server.Wait([&] { return server.acked["web"] == 1; }));
  proxy.fake().FinishSwitch();
  EXPECT_TRUE(server.Wait([&] { return server.acked["web"] == 2; }));
}

TEST_F(XdsClientTest, ARefusedUpdateLeavesTheLastGoodTable) {
  Server server;
  PutApp(server);
  Proxy proxy(server.port(), path());
  ASSERT_TRUE(proxy.Wait(Complete));
  auto bad = GoodEndpoints();
  AddEndpoint(bad, "not-an-address", 1);
  server.Put(ResourceType::kEndpoints, "web", bad, 2);
  ASSERT_TRUE(server.Wait([&] { return !server.nacks.empty(); }));
  EXPECT_EQ(server.nacks[0],
            "endpoints: endpoints web: "
            "endpoints[0].lb_endpoints[1].endpoint.address.socket_address.address: "
            "\"not-an-address\" is not an IPv4 or IPv6 address");
  auto good = GoodEndpoints();
  AddEndpoint(good, "127.0.0.1", 20002);
  server.Put(ResourceType::kEndpoints, "web", good, 3);
  EXPECT_TRUE(server.Wait([&] { return server.acked["web"] == 3; }));
}

TEST_F(XdsClientTest, RestartsFromItsFileWithoutAServerAndThenGetsNothingTwice) {
  int port = 0;
  {
    Server server;
    port = server.port();
    PutApp(server);
    Proxy proxy(server.port(), path());
    ASSERT_TRUE(server.Wait([&] { return server.acked["web"] == 1; }));
    // The file is written behind the table; the last save has all four kinds.
    ASSERT_TRUE(proxy.Wait([&](const TableUpdater&) {
      const auto bytes = ReadFile(path());
      if (!bytes.ok()) return false;
      const auto snapshot = ParseSnapshot(*bytes);
      return snapshot.ok() && !snapshot->of(XdsType::kRoute).empty();
    }));
  }
  Proxy proxy(port, path());
  ASSERT_TRUE(proxy.Wait(Complete));
  EXPECT_TRUE(
      proxy.Wait([](const TableUpdater& u) { return u.source() == TableUpdater::Source::kFile; }));

  Server server(port);
  PutApp(server, 9);
  ASSERT_TRUE(server.Wait([&] { return server.acked["web"] == 9; }));
  EXPECT_EQ(server.resources_sent, 0);
  EXPECT_EQ(server.caught_up, std::vector<std::string>{"web"});
}

TEST_F(XdsClientTest, ReconnectsWithItsVersionsWhenTheServerComesBack) {
  auto server = std::make_unique<Server>();
  const int port = server->port();
  PutApp(*server);
  Proxy proxy(port, path());
  ASSERT_TRUE(proxy.Wait(Complete));
  server.reset();
  EXPECT_TRUE(proxy.Wait(Complete));  // serves on
  Server back(port);
  auto endpoints = GoodEndpoints();
  AddEndpoint(endpoints, "127.0.0.1", 20002);
  PutApp(back, 1);
  back.Put(ResourceType::kEndpoints, "web", endpoints, 5);
  ASSERT_TRUE(back.Wait([&] { return back.acked["web"] == 5; }));
  EXPECT_LE(back.resources_sent, 1);
}

// What the server was told of the one endpoint that drains, if anything.
const envoy::config::endpoint::v3::UpstreamEndpointStats* FindDraining(
    const LoadStatsRequest& report) {
  for (const auto& cluster : report.cluster_stats()) {
    for (const auto& locality : cluster.upstream_locality_stats()) {
      for (const auto& endpoint : locality.upstream_endpoint_stats()) {
        if (endpoint.metadata().fields().at("draining").bool_value()) return &endpoint;
      }
    }
  }
  return nullptr;
}

TEST_F(XdsClientTest, ReportsADrainAtOnceAndAgainWhenItIsOver) {
  Server server;
  PutApp(server);
  Proxy proxy(server.port(), path());
  ASSERT_TRUE(proxy.Wait(Complete));
  ASSERT_TRUE(server.Wait([&] { return !server.reports.empty(); }));  // the full one at the start
  const auto counters = proxy.fake().table()->clusters.at("web")->endpoints[0].counters;
  counters->in_flight = 2;
  counters->tunnels = 1;
  counters->answered_at = Instant::clock::now().time_since_epoch().count();

  proxy.fake().HoldSwitches(true);
  xds_endpoint::ClusterLoadAssignment draining;
  draining.set_cluster_name("web");
  AddEndpoint(draining, "127.0.0.1", 20001, xds_core::DRAINING, "web.1-aaaa");
  server.Put(ResourceType::kEndpoints, "web", draining, 2);
  ASSERT_TRUE(proxy.Wait([&](const TableUpdater&) { return proxy.fake().SwitchPending(); }));
  EXPECT_TRUE(server.Wait([&] { return FindDraining(server.reports.back()) == nullptr; }));

  proxy.fake().FinishSwitch();
  ASSERT_TRUE(server.Wait([&] { return FindDraining(server.reports.back()) != nullptr; }));
  const auto* first = FindDraining(server.reports.back());
  EXPECT_EQ(first->total_requests_in_progress(), 2u);
  EXPECT_EQ(first->metadata().fields().at("assignment").string_value(), "web.1-aaaa");
  EXPECT_EQ(first->address().socket_address().port_value(), 20001u);
  EXPECT_EQ(first->metadata().fields().at("tunnels").number_value(), 1);
  EXPECT_GE(first->metadata().fields().at("answered_ms").number_value(), 0);
  EXPECT_FALSE(first->metadata().fields().contains("unreachable_ms"));

  counters->in_flight = 0;
  proxy.fake().FireDrained();
  ASSERT_TRUE(server.Wait([&] {
    const auto* last = FindDraining(server.reports.back());
    return last != nullptr && last->total_requests_in_progress() == 0;
  }));
}

}  // namespace
}  // namespace pando::proxy
