// What a data plane's life must not do to its clients: tables that change, an end that takes its
// time, listening sockets that go from one process to the next.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proxy/net/net_test_support.h"

namespace pando::proxy {
namespace {

constexpr std::string_view kUpgrade =
    "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

// Echoes lines after an upgrade; answers everything else with "ok".
void EchoOrAnswer(Wire& wire, int) {
  while (auto request = wire.ReadMessage()) {
    if (!request->Has("Upgrade: websocket")) {
      wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      continue;
    }
    wire.Send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    while (auto line = wire.ReadUntil("\n")) wire.Send(*line);
    return;
  }
}

std::unique_ptr<Wire> OpenTunnel(TestProxy& proxy) {
  auto tunnel = proxy.Connect();
  tunnel->Send(kUpgrade);
  EXPECT_EQ(tunnel->ReadMessage()->status(), 101);
  return tunnel;
}

bool Echoes(Wire& tunnel, const std::string& line) {
  return tunnel.Send(line) && tunnel.ReadUntil("\n") == line;
}

TEST(LifecycleTest, TablesLeaveConnectionsOfInstancesThatStayAlone) {
  TestApp app(EchoOrAnswer);
  TestApp other(TestApp::Answering("other"));
  TestProxy proxy({.workers = 1});
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  auto tunnel = OpenTunnel(proxy);
  ASSERT_EQ(client->Ask(kGet)->body, "ok");
  const int connections = app.connections();
  for (int round = 0; round < 50; ++round) {
    SCOPED_TRACE(round);
    proxy.Serve({{app.port()}, {other.port(), EndpointHealth::kSuspect}});
    EXPECT_EQ(client->Ask(kGet)->body, "ok");
    EXPECT_TRUE(Echoes(*tunnel, absl::StrCat("after a table ", round, "\n")));
    proxy.Serve({{app.port()}});
  }
  EXPECT_EQ(app.connections(), connections) << "the pool kept its connection, too";
  proxy.Serve({{app.port(), EndpointHealth::kDraining}, {other.port()}});
  EXPECT_EQ(client->Ask(kGet)->body, "other");
  EXPECT_TRUE(Echoes(*tunnel, "a tunnel to an instance that drains\n"));
}

TEST(LifecycleTest, DrainLetsKeptConnectionsBringOneMoreRequest) {
  TestApp app(TestApp::Answering("x"));
  TestProxy proxy;
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  auto silent = proxy.Connect();
  ASSERT_EQ(client->Ask(kGet)->status(), 200);
  ASSERT_EQ(silent->Ask(kGet)->status(), 200);
  std::atomic<bool> done{false};
  proxy.plane.Drain({.idle = Millis{1'500}}, [&] { done = true; });
  EXPECT_TRUE(Eventually([&] { return !proxy.Connect()->Send("x"); }));
  auto response = client->Ask(kGet);
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->status(), 200);
  EXPECT_TRUE(response->Has("Connection: close"));
  EXPECT_TRUE(client->AtEnd());
  EXPECT_TRUE(silent->AtEnd()) << "when its time is over";
  EXPECT_TRUE(Eventually([&] { return done.load(); }));
}

TEST(LifecycleTest, DrainCutsRequestsFirstAndTunnelsLast) {
  std::promise<void> arrived;
  TestApp app([&](Wire& wire, int connection) {
    if (connection == 0) return EchoOrAnswer(wire, connection);
    wire.ReadMessage();
    arrived.set_value();
    wire.AtEnd();
  });
  TestProxy proxy;
  proxy.Serve({{app.port()}});
  auto tunnel = OpenTunnel(proxy);
  auto stuck = proxy.Connect();
  stuck->Send(kGet);
  arrived.get_future().wait();
  std::atomic<bool> done{false};
  proxy.plane.Drain({.requests = Millis{50}, .tunnels = Millis{60'000}}, [&] { done = true; });
  EXPECT_TRUE(stuck->AtEnd());
  EXPECT_TRUE(Echoes(*tunnel, "still here\n"));
  EXPECT_FALSE(done);
  tunnel->Close();
  EXPECT_TRUE(Eventually([&] { return done.load(); }));
}

TEST(LifecycleTest, DrainEndsTunnelsAtTheirBound) {
  TestApp app(EchoOrAnswer);
  TestProxy proxy;
  proxy.Serve({{app.port()}});
  auto tunnel = OpenTunnel(proxy);
  std::atomic<bool> done{false};
  proxy.plane.Drain({.requests = Millis{10}, .tunnels = Millis{50}}, [&] { done = true; });
  EXPECT_TRUE(Eventually([&] { return done.load(); }));
}

// Clients that come anew, one after the other, until told to stop.
class Visitors {
 public:
  Visitors(uint16_t port, int count) {
    for (int i = 0; i < count; ++i) threads_.emplace_back([this, port] { Visit(port); });
  }
  ~Visitors() { Stop(); }

  int served() const { return served_; }
  // How many were refused, cut off or answered with an error.
  int Stop() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    return failed_;
  }

 private:
  void Visit(uint16_t port) {
    while (!stop_) {
      const auto wire = Wire::Connect(port);
      auto response = wire->Ask(kGet);
      // Half of them stay for a second request, unless asked to leave.
      if (response && !response->Has("Connection: close") && served_ % 2 == 0) {
        response = wire->Ask(kGet);
      }
      ++(response && response->status() == 200 ? served_ : failed_);
    }
  }

  std::atomic<bool> stop_{false};
  std::atomic<int> served_{0};
  std::atomic<int> failed_{0};
  std::vector<std::thread> threads_;
};

TEST(LifecycleTest, AnotherDataPlaneTakesOverWithoutARefusal) {
  struct Case {
    std::string name;
    int before;
    int after;
  };
  for (const Case& c : {Case{"as many workers", 2, 2}, Case{"fewer", 3, 1}, Case{"more", 1, 3}}) {
    SCOPED_TRACE(c.name);
    TestApp app(TestApp::Answering("x"));
    TestProxy before({.workers = c.before});
    before.Serve({{app.port()}});
    Visitors visitors(before.port, 4);
    ASSERT_TRUE(Eventually([&] { return visitors.served() > 100; }));

    TestProxy after({.workers = c.after});
    after.port = before.port;
    after.plane.Inherit(before.plane.ShareListeners());
    after.Serve({{app.port()}});
    after.plane.DropInherited();
    std::promise<void> drained;
    before.plane.Drain({.idle = Millis{5'000}, .handed_over = true}, [&] { drained.set_value(); });
    drained.get_future().wait();
    const int served = visitors.served();
    EXPECT_TRUE(Eventually([&] { return visitors.served() > served + 100; }));
    EXPECT_EQ(visitors.Stop(), 0);
  }
}

TEST(LifecycleTest, ALostSuccessorChangesNothing) {
  TestApp app(TestApp::Answering("x"));
  TestProxy before;
  before.Serve({{app.port()}});
  Visitors visitors(before.port, 2);
  {
    TestProxy after;
    after.port = before.port;
    after.plane.Inherit(before.plane.ShareListeners());
    // It ends before it has a table.
  }
  const int served = visitors.served();
  EXPECT_TRUE(Eventually([&] { return visitors.served() > served + 100; }));
  EXPECT_EQ(visitors.Stop(), 0);
}

}  // namespace
}  // namespace pando::proxy
