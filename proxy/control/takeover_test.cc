// One proxy takes over from another: both whole, with real sockets, in one process and without a
// controller. What the controller makes of it is in controller/service; the programs, in tests/e2e.
#include "proxy/control/takeover.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/runtime/data_dir.h"
#include "proxy/control/proxy_app.h"
#include "proxy/control/table_file.h"
#include "proxy/control/test_resources.h"
#include "proxy/net/net_test_support.h"
#include "proxy/net/tls_test_support.h"

namespace pando::proxy {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

XdsSnapshot Table(uint16_t listen_port, uint16_t app_port) {
  xds_endpoint::ClusterLoadAssignment endpoints;
  endpoints.set_cluster_name("web");
  AddEndpoint(endpoints, "127.0.0.1", app_port, xds_core::HEALTHY, "web.1-aaaa");
  XdsSnapshot snapshot;
  snapshot.of(XdsType::kCluster)["web"] = {"1", AnyBytes(GoodCluster())};
  snapshot.of(XdsType::kEndpoints)["web"] = {"1", AnyBytes(endpoints)};
  snapshot.of(XdsType::kListener)["default"] = {"1",
                                                AnyBytes(GoodListener("default", listen_port))};
  snapshot.of(XdsType::kRoute)["default"] = {"1", AnyBytes(GoodRoutes())};
  return snapshot;
}

std::pair<UniqueFd, UniqueFd> SocketPair() {
  int fds[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

TEST(EstateTest, ArrivesWhole) {
  auto [here, there] = SocketPair();
  Estate sent;
  sent.lock.reset(dup(0));
  sent.snapshot = Table(8080, 20001);
  sent.ticket_keys = std::string("any\0bytes", 9);
  sent.predecessor = "edge-1~4711";
  sent.admin_address = "127.0.0.1:7482";
  sent.admin.reset(dup(0));
  sent.listeners.resize(2);
  sent.listeners[0] = {"0.0.0.0", 8080, {}};
  sent.listeners[1] = {"::", 8443, {}};
  // More than one message can carry.
  for (int i = 0; i < 200; ++i) sent.listeners[0].fds.emplace_back(dup(0));
  sent.listeners[1].fds.emplace_back(dup(0));
  ASSERT_TRUE(SendEstate(here.get(), sent).ok());
  const absl::StatusOr<Estate> got = ReceiveEstate(there.get());
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_TRUE(got->lock.valid());
  EXPECT_EQ(got->snapshot, sent.snapshot);
  EXPECT_EQ(got->ticket_keys, sent.ticket_keys);
  EXPECT_EQ(got->predecessor, sent.predecessor);
  EXPECT_EQ(got->admin_address, sent.admin_address);
  EXPECT_TRUE(got->admin.valid());
  ASSERT_EQ(got->listeners.size(), 2u);
  EXPECT_EQ(got->listeners[0].address, "0.0.0.0");
  EXPECT_EQ(got->listeners[0].port, 8080);
  EXPECT_EQ(got->listeners[0].fds.size(), 200u);
  EXPECT_EQ(got->listeners[1].address, "::");
  EXPECT_EQ(got->listeners[1].fds.size(), 1u);
}

TEST(EstateTest, WhatIsNotUnderstoodIsRefused) {
  struct Case {
    std::string name;
    std::string text;
    int fds;
    std::string want;
  };
  const Case cases[] = {
      {"unknown part", "kettle\n", 1, "unknown part \"kettle\""},
      {"no such port", "listener 127.0.0.1 65536\n", 1, "unknown part \"listener"},
      {"a line without its descriptor", "lock\n", 0, "lines and descriptors do not match"},
      {"no lock", "end edge-1", 0, "it kept its data directory"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    auto [here, there] = SocketPair();
    ASSERT_TRUE(SendTakeover(here.get(), c.text, std::vector<int>(c.fds, 0)).ok());
    EXPECT_THAT(std::string(ReceiveEstate(there.get()).status().message()), HasSubstr(c.want));
  }
  auto [here, there] = SocketPair();
  here.reset();
  EXPECT_THAT(std::string(ReceiveEstate(there.get()).status().message()), HasSubstr("hung up"));
}

// A ProxyApp with its loop on a thread of its own.
class RunningProxy {
 public:
  explicit RunningProxy(const ProxyOptions& options) {
    absl::StatusOr<std::unique_ptr<ProxyApp>> app = ProxyApp::Create(options);
    status = app.status();
    if (!app.ok()) return;
    app_ = *std::move(app);
    thread_ = std::thread([this] {
      app_->Run();
      ended_ = true;
    });
  }
  ~RunningProxy() { Stop(); }

  bool ended() const { return ended_; }
  uint16_t admin_port() const { return app_->http_port(); }
  void Stop() {
    if (!thread_.joinable()) return;
    app_->loop().Post([this] { app_->Drain(); });
    Wait();
  }
  // Until Run has ended by itself; then all of it goes, as with its process.
  void Wait() {
    thread_.join();
    app_.reset();
  }

  absl::Status status;

 private:
  std::unique_ptr<ProxyApp> app_;
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

class TakeoverTest : public ::testing::Test {
 protected:
  TakeoverTest()
      : dir_(std::filesystem::temp_directory_path() / RandomHexId()),
        app_(TestApp::Answering("x")),
        port_(FreePort()) {
    options_.data_dir = dir_;
    options_.id = "edge-1";
    options_.controller = {"127.0.0.1", 1};  // nobody is there
    options_.http_listen = {"127.0.0.1", FreePort()};
    options_.workers = 2;
    std::filesystem::create_directory(dir_);
    const std::string table = SerializeSnapshot(Table(port_, app_.port()));
    EXPECT_TRUE(WriteFileAtomically(dir_ / "table.pb", table).ok());
  }
  ~TakeoverTest() override { std::filesystem::remove_all(dir_); }

  ProxyOptions Successor() const {
    ProxyOptions options = options_;
    options.takeover = true;
    return options;
  }
  bool Serves() const {
    const auto response = Wire::Connect(port_)->Ask(kGet);
    return response && response->status() == 200;
  }
  std::string Healthz() const {
    const auto response =
        Wire::Connect(options_.http_listen.port)->Ask("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    return response ? absl::StrCat(response->status(), " ", response->body) : "";
  }

  const std::filesystem::path dir_;
  TestApp app_;
  const uint16_t port_;
  ProxyOptions options_;
};

TEST_F(TakeoverTest, TheNewOneServesAndTheOldOneEnds) {
  RunningProxy before(options_);
  ASSERT_TRUE(before.status.ok()) << before.status;
  ASSERT_TRUE(Eventually([&] { return Serves(); }));
  auto client = Wire::Connect(port_);
  ASSERT_EQ(client->Ask(kGet)->status(), 200);

  RunningProxy after(Successor());
  ASSERT_TRUE(after.status.ok()) << after.status;
  // The client is still with the old one, which asks it to leave.
  EXPECT_TRUE(Eventually([&] {
    const auto response = client->Ask(kGet);
    return !response || response->Has("Connection: close");
  }));
  before.Wait();
  EXPECT_TRUE(Serves());
  EXPECT_EQ(Healthz(), "200 ok\n");

  RunningProxy third(options_);
  EXPECT_THAT(std::string(third.status.message()), HasSubstr("is in use by process"));
}

TEST_F(TakeoverTest, ATunnelOutlivesTheTakeover) {
  TestApp chat([](Wire& wire, int) {
    if (!wire.ReadMessage()) return;
    wire.Send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    while (auto line = wire.ReadUntil("\n")) wire.Send(*line);
  });
  const std::string table = SerializeSnapshot(Table(port_, chat.port()));
  ASSERT_TRUE(WriteFileAtomically(dir_ / "table.pb", table).ok());
  options_.drain_timeout = Millis{10};
  RunningProxy before(options_);
  ASSERT_TRUE(Eventually([&] { return Wire::Connect(port_)->Send("x"); }));
  auto tunnel = Wire::Connect(port_);
  tunnel->Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  ASSERT_EQ(tunnel->ReadMessage()->status(), 101);

  RunningProxy after(Successor());
  ASSERT_TRUE(after.status.ok()) << after.status;
  EXPECT_TRUE(tunnel->Send("hello\n"));
  EXPECT_EQ(tunnel->ReadUntil("\n"), "hello\n");
  EXPECT_FALSE(before.ended());
  tunnel->Close();
  before.Wait();
  EXPECT_EQ(Healthz(), "200 ok\n");
}

TEST_F(TakeoverTest, TlsSessionsBegunBeforeAreResumedAfter) {
  CertificateDir certificates;
  const TlsCertificateFiles files = certificates.Write("a", MakeCertificate({"example.com"}));
  xds_tls::DownstreamTlsContext context = GoodTls();
  auto& certificate = *context.mutable_common_tls_context()->mutable_tls_certificates(0);
  certificate.mutable_certificate_chain()->set_filename(files.chain);
  certificate.mutable_private_key()->set_filename(files.key);
  auto listener = GoodListener("default", port_);
  *listener.mutable_filter_chains(0)->mutable_transport_socket()->mutable_typed_config() =
      Pack(context);
  XdsSnapshot snapshot = Table(port_, app_.port());
  snapshot.of(XdsType::kListener)["default"] = {"1", AnyBytes(listener)};
  ASSERT_TRUE(WriteFileAtomically(dir_ / "table.pb", SerializeSnapshot(snapshot)).ok());
  RunningProxy before(options_);
  ASSERT_TRUE(before.status.ok()) << before.status;
  SslSession session;
  ASSERT_TRUE(Eventually([&] {
    TlsWire first(port_, {});
    if (!first.Ask(kGet).has_value()) return false;
    session = first.session();
    return true;
  }));

  RunningProxy after(Successor());
  ASSERT_TRUE(after.status.ok()) << after.status;
  before.Wait();
  TlsWire::Options resuming;
  resuming.session = session.get();
  TlsWire again(port_, resuming);
  ASSERT_TRUE(again.Ask(kGet).has_value()) << again.error();
  EXPECT_TRUE(again.resumed());
  const SslSession renewed = again.session();
  resuming.session = renewed.get();
  RunningProxy third(Successor());
  ASSERT_TRUE(third.status.ok()) << third.status;
  after.Wait();
  TlsWire last(port_, resuming);
  ASSERT_TRUE(last.Ask(kGet).has_value()) << last.error();
  EXPECT_TRUE(last.resumed()) << "over more than one upgrade";
}

TEST_F(TakeoverTest, ASuccessorThatDiesHalfWayChangesNothing) {
  RunningProxy before(options_);
  ASSERT_TRUE(Eventually([&] { return Serves(); }));
  {
    auto wire = ConnectForTakeover(dir_);
    ASSERT_TRUE(wire.ok()) << wire.status();
    ASSERT_TRUE(SendTakeover(wire->get(), kTakeoverHello).ok());
    const absl::StatusOr<Estate> estate = ReceiveEstate(wire->get());
    ASSERT_TRUE(estate.ok()) << estate.status();
    EXPECT_EQ(estate->listeners.size(), 1u);
  }
  {
    auto wire = ConnectForTakeover(dir_);
    ASSERT_TRUE(wire.ok()) << wire.status();
    ASSERT_TRUE(SendTakeover(wire->get(), "open sesame").ok());
    EXPECT_EQ(ReceiveTakeover(wire->get())->text, "") << "it hangs up";
  }
  EXPECT_TRUE(Serves());
  EXPECT_FALSE(before.ended());
  RunningProxy after(Successor());
  EXPECT_TRUE(after.status.ok()) << after.status;
  before.Wait();
  EXPECT_TRUE(Serves());
}

TEST_F(TakeoverTest, WithNobodyToTakeOverFromItStartsAsUsual) {
  RunningProxy proxy(Successor());
  ASSERT_TRUE(proxy.status.ok()) << proxy.status;
  EXPECT_TRUE(Eventually([&] { return Serves(); }));
}

TEST_F(TakeoverTest, ABadSuccessorLeavesTheRunningOneAlone) {
  RunningProxy before(options_);
  ASSERT_TRUE(Eventually([&] { return Serves(); }));
  ProxyOptions taken = Successor();
  taken.http_listen = {"127.0.0.1", port_};  // the listener's
  RunningProxy after(taken);
  EXPECT_THAT(std::string(after.status.message()), StartsWith("cannot listen on 127.0.0.1:"));
  EXPECT_TRUE(Serves());
  EXPECT_EQ(Healthz(), "200 ok\n");
}

}  // namespace
}  // namespace pando::proxy
