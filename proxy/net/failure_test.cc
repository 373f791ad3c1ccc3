// What goes wrong: instances that refuse, die, stall or lie; clients that stall or leave; tables
// that change under traffic; listeners that are taken; the end of the process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "proxy/net/net_test_support.h"

namespace pando::proxy {
namespace {

using testing::HasSubstr;

TEST(FailureTest, SaysWhatIsMissing) {
  TestProxy proxy;
  proxy.Serve({});
  auto client = proxy.Connect();
  auto response = client->Ask(kGet);
  EXPECT_EQ(response->status(), 503);
  EXPECT_TRUE(response->Has("Retry-After: 1"));
  EXPECT_EQ(response->body, "no instance of web is ready\n");
  EXPECT_EQ(client->Ask(kPost)->status(), 503) << "on the same connection";
  EXPECT_EQ(proxy.Stats().no_endpoint_total, 2u);

  auto table = proxy.Table({});
  table->routes["main"].virtual_hosts[0].domains = {"b"};
  proxy.Apply(table);
  response = client->Ask(kGet);
  EXPECT_EQ(response->status(), 404);
  EXPECT_EQ(response->body, "no route for host a\n");
  EXPECT_EQ(proxy.plane.Stats().unrouted_total, 1u);
  client->Send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(client->ReadMessage(true)->status(), 404);
  EXPECT_EQ(client->Ask(kGet)->status(), 404) << "no body followed the answer to HEAD";
}

TEST(FailureTest, RefusedRequestsGoElsewhereWhateverTheMethod) {
  TestApp app(TestApp::Answering("alive"));
  TestProxy proxy({.workers = 1});
  proxy.Serve({{FreePort()}, {FreePort()}, {app.port()}, {FreePort()}});
  auto client = proxy.Connect();
  for (int i = 0; i < 30; ++i) {
    auto response = client->Ask(i % 2 == 0 ? kGet : kPost);
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->body, "alive");
  }
  ASSERT_TRUE(Eventually([&] { return proxy.Stats().requests_total == 30; }));
  const ClusterStats stats = proxy.Stats();
  EXPECT_GE(stats.retries_total, 1u);
  EXPECT_LE(stats.connect_failures_total, 12u) << "refusing instances are passed over for a while";
  EXPECT_EQ(stats.responses_by_class[2], 30u);
}

TEST(FailureTest, AllRefusing) {
  TestProxy proxy({.workers = 1});
  proxy.Serve({{FreePort()}, {FreePort()}});
  auto client = proxy.Connect();
  EXPECT_EQ(client->Ask(kGet)->status(), 502);
  EXPECT_EQ(client->Ask(kPost)->status(), 502);
  EXPECT_EQ(proxy.Stats().connect_failures_total, 4u);
  EXPECT_EQ(proxy.Stats().upstream_failures_total, 2u);
  EXPECT_TRUE(Eventually([&] { return proxy.Stats().responses_by_class[5] == 2; }));
}

// Answers one request per connection, then closes it upon the second without answering.
TestApp::Script ClosesOnReuse(std::atomic<int>& requests) {
  return [&requests](Wire& wire, int) {
    if (!wire.ReadMessage().has_value()) return;
    ++requests;
    wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    if (wire.ReadMessage().has_value()) ++requests;
  };
}

TEST(FailureTest, IdempotentRequestsSurviveAClosedKeptConnection) {
  std::atomic<int> requests{0};
  TestApp app(ClosesOnReuse(requests));
  TestProxy proxy({.workers = 1});
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  EXPECT_EQ(client->Ask(kGet)->status(), 200);
  EXPECT_EQ(client->Ask(kGet)->status(), 200);
  EXPECT_EQ(requests, 3);
  EXPECT_EQ(client
                ->Ask("POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: 1\r\n"
                      "Content-Length: 3\r\n\r\nabc")
                ->status(),
            200);
  EXPECT_EQ(proxy.Stats().retries_total, 2u);
}

TEST(FailureTest, APostIsNeverSentTwice) {
  std::atomic<int> requests{0};
  TestApp app(ClosesOnReuse(requests));
  TestApp other(ClosesOnReuse(requests));
  TestProxy proxy({.workers = 1});
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  EXPECT_EQ(client->Ask(kGet)->status(), 200);
  proxy.Serve({{app.port()}, {other.port(), EndpointHealth::kSuspect}});
  auto response = client->Ask(kPost);
  EXPECT_EQ(response->status(), 502);
  EXPECT_EQ(response->body, "an instance of web failed to answer\n");
  EXPECT_EQ(requests, 2);
  EXPECT_EQ(other.connections(), 0);
}

TEST(FailureTest, KeptConnectionsThatEndAreNotUsed) {
  std::atomic<bool> closed{false};
  TestApp app([&](Wire& wire, int) {
    wire.ReadMessage();
    wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    wire.Shutdown();  // without saying so
    closed = true;
  });
  TestProxy proxy({.workers = 1});
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  for (int i = 0; i < 20; ++i) {
    closed = false;
    ASSERT_EQ(client->Ask(kPost)->status(), 200);
    ASSERT_TRUE(Eventually([&] { return closed.load(); }));
  }
  EXPECT_EQ(proxy.Stats().retries_total, 0u);
}

TEST(FailureTest, KeptConnectionsEndBeforeTheAppsOwnLimit) {
  std::atomic<int> open{0};
  TestApp app([&](Wire& wire, int) {
    ++open;
    while (auto request = wire.ReadMessage()) {
      wire.Send("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok");
    }
    --open;
  });
  TestProxy proxy({.workers = 1, .upstream_idle_timeout = Millis{60'000}});
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(client->Ask(kGet)->status(), 200);
  EXPECT_TRUE(Eventually([&] { return open == 0; }));
  EXPECT_LT(std::chrono::steady_clock::now() - start, Millis{1'000});
}

TEST(FailureTest, ALimitTheAppKeepsToItselfIsLearned) {
  std::atomic<int> open{0};
  std::atomic<int> ended_by_proxy{0};
  TestApp app([&](Wire& wire, int) {
    const timeval limit{0, 600'000};
    setsockopt(wire.fd(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    ++open;
    while (auto request = wire.ReadMessage()) {
      wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
    if (errno != EAGAIN) ++ended_by_proxy;  // before the app itself would have
    --open;
  });
  TestProxy proxy({.workers = 1, .upstream_idle_timeout = Millis{60'000}});
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  for (int i = 0; i < 10 && ended_by_proxy == 0; ++i) {
    ASSERT_EQ(client->Ask(kPost)->status(), 200);
    ASSERT_TRUE(Eventually([&] { return open == 0; }));
    EXPECT_TRUE(i >= 2 || ended_by_proxy == 0) << "one close says nothing yet";
  }
  EXPECT_EQ(ended_by_proxy, 1);
}

TEST(FailureTest, InstanceThatDiesIsReplacedForIdempotentRequestsOnly) {
  TestApp dying([](Wire& wire, int) { wire.ReadMessage(); });
  TestApp app(TestApp::Answering("alive"));
  TestProxy proxy({.workers = 1});
  auto client = proxy.Connect();
  proxy.Serve({{dying.port()}, {app.port(), EndpointHealth::kSuspect}});
  client = proxy.Connect();
  EXPECT_EQ(client->Ask(kGet)->body, "alive");
  EXPECT_EQ(client->Ask(kPost)->body, "alive") << "the dying one is under suspicion now";
  TestProxy fresh({.workers = 1});
  fresh.Serve({{dying.port()}, {app.port(), EndpointHealth::kSuspect}});
  EXPECT_EQ(fresh.Connect()->Ask(kPost)->status(), 502);
}

TEST(FailureTest, BadResponsesBecome502) {
  TestProxy proxy({.workers = 1, .limits = {.max_head_bytes = 4096}});
  for (const std::string& bad : {
           std::string("nonsense\r\n\r\n"),
           std::string("HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
           std::string(
               "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
           std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxx\r\n"),
           std::string("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"),
           "HTTP/1.1 200 OK\r\nX: " + std::string(10'000, 'x') + "\r\n\r\n",
       }) {
    SCOPED_TRACE(bad.substr(0, 80));
    TestApp app([&bad](Wire& wire, int) {
      wire.ReadMessage();
      wire.Send(bad);
      wire.AtEnd();
    });
    proxy.Serve({{app.port()}});
    auto client = proxy.Connect();
    EXPECT_EQ(client->Ask(kGet).value_or(Wire::Message{}).status(), 502);
    EXPECT_EQ(proxy.InFlight(app.port()), 0u);
  }
}

TEST(FailureTest, SilenceHasLimits) {
  TestApp app([](Wire& wire, int) {
    wire.ReadMessage();
    wire.AtEnd();
  });
  TestProxy proxy({.workers = 1, .limits = {.stream_idle_timeout = Millis{200}}});
  proxy.limits.first_byte_timeout = Millis{50};
  proxy.Serve({{app.port()}});
  auto response = proxy.Connect()->Ask(kGet);
  EXPECT_EQ(response->status(), 504);
  EXPECT_EQ(response->body, "an instance of web did not answer in time\n");
  proxy.limits.first_byte_timeout = Millis{0};
  proxy.Serve({{app.port()}});
  EXPECT_EQ(proxy.Connect()->Ask(kGet)->status(), 504) << "by the stream's own limit";
  auto client = proxy.Connect();
  client->Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
  EXPECT_EQ(client->ReadMessage()->status(), 408) << "it is the client who is slow";
  EXPECT_TRUE(Eventually([&] { return proxy.InFlight(app.port()) == 0u; }));
}

TEST(FailureTest, SlowHeadsAndIdleClientsAreSentAway) {
  TestApp app(TestApp::Answering("hello"));
  TestProxy proxy(
      {.workers = 1, .limits = {.head_timeout = Millis{100}, .client_idle_timeout = Millis{150}}});
  proxy.Serve({{app.port()}});
  auto slow = proxy.Connect();
  slow->Send("GET / HTTP/1.1\r\n");
  EXPECT_EQ(slow->ReadMessage().value_or(Wire::Message{}).status(), 408);
  EXPECT_TRUE(slow->AtEnd());
  auto silent = proxy.Connect();
  EXPECT_TRUE(silent->AtEnd());
  auto idle = proxy.Connect();
  EXPECT_EQ(idle->Ask(kGet)->status(), 200);
  EXPECT_TRUE(idle->AtEnd());
}

TEST(FailureTest, ConnectTimeoutsMoveOn) {
  // A listener whose backlog is full lets connections hang.
  UniqueFd full(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto address = MakeSocketAddress("127.0.0.1", 0).value();
  ASSERT_EQ(bind(full.get(), address.get(), address.size), 0);
  ASSERT_EQ(listen(full.get(), 0), 0);
  getsockname(full.get(), reinterpret_cast<sockaddr*>(&address.storage), &address.size);
  const uint16_t port = ntohs(reinterpret_cast<sockaddr_in*>(&address.storage)->sin_port);
  auto filler = Wire::Connect(port);
  TestApp app(TestApp::Answering("alive"));
  TestProxy proxy({.workers = 1});
  proxy.connect_timeout = Millis{100};
  proxy.Serve({{port}, {app.port(), EndpointHealth::kSuspect}});
  auto client = proxy.Connect();
  EXPECT_EQ(client->Ask(kPost)->body, "alive");
  EXPECT_EQ(client->Ask(kPost)->body, "alive");
  EXPECT_EQ(proxy.Stats().connect_failures_total, 1u);
}

TEST(FailureTest, ClientsThatLeaveAreForgotten) {
  std::promise<void> arrived;
  TestApp app([&](Wire& wire, int connection) {
    wire.ReadMessage();
    if (connection == 0) arrived.set_value();
    wire.AtEnd();
  });
  TestProxy proxy({.workers = 1});
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  client->Send(kGet);
  arrived.get_future().wait();
  EXPECT_EQ(proxy.InFlight(app.port()), 1u);
  client->Reset();
  EXPECT_TRUE(Eventually([&] { return proxy.InFlight(app.port()) == 0; }));
  EXPECT_TRUE(Eventually([&] { return proxy.Stats().responses_by_class[0] == 1; }));
  auto half = proxy.Connect();
  half->Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
  half->Close();
  EXPECT_TRUE(Eventually([&] { return proxy.Stats().responses_by_class[0] == 2; }));
  EXPECT_EQ(proxy.InFlight(app.port()), 0u);
}

TEST(FailureTest, TablesChangeUnderTrafficWithoutAnError) {
  std::atomic<int> served{0};
  TestApp one(TestApp::Answering("x", &served));
  TestApp two(TestApp::Answering("x", &served));
  TestApp three(TestApp::Answering("x", &served));
  TestProxy proxy;
  proxy.policy = LbPolicy::kLeastRequest;
  proxy.Serve({{one.port()}, {two.port()}});
  std::atomic<bool> stop{false};
  std::atomic<int> failed{0};
  std::atomic<int> answered{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&, i] {
      auto client = proxy.Connect();
      while (!stop) {
        auto response = client->Ask(i % 2 == 0 ? kGet : kPost);
        if (!response.has_value() || response->status() != 200) ++failed;
        ++answered;
      }
    });
  }
  const TestProxy::Members tables[] = {
      {{one.port()}, {two.port()}, {three.port()}},
      {{one.port(), EndpointHealth::kDraining}, {two.port()}, {three.port()}},
      {{two.port()}, {three.port()}},
      {{one.port()}, {three.port(), EndpointHealth::kDraining}},
      {{one.port()}, {two.port()}},
  };
  for (int i = 0; i < 300; ++i) proxy.Serve(tables[i % std::size(tables)]);
  ASSERT_TRUE(Eventually([&] { return answered > 500; }));
  stop = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(proxy.plane.Stats().tables_applied_total, 301u);
  for (TestApp* app : {&one, &two, &three}) {
    EXPECT_TRUE(Eventually([&] { return proxy.InFlight(app->port()) == 0; }));
  }
}

TEST(FailureTest, TablesChangeAThousandTimesASecondUnderTraffic) {
#ifdef PANDO_SANITIZED
  constexpr int kTables = 500;
#else
  constexpr int kTables = 3'000;
#endif
  // Echoes lines in tunnels; answers everything else, bodies and all.
  const auto script = [](Wire& wire, int) {
    while (auto request = wire.ReadMessage()) {
      if (!request->Has("Upgrade: x")) {
        wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
        continue;
      }
      wire.Send("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
      while (auto line = wire.ReadUntil("\n")) wire.Send(*line);
    }
  };
  TestApp one(script);
  TestApp two(script);
  TestProxy proxy;
  proxy.Serve({{one.port()}, {two.port()}});
  std::atomic<bool> stop{false};
  std::atomic<int> failed{0};
  std::atomic<int> answered{0};
  const auto ask = [&](std::string_view request) {
    while (!stop) {  // a new connection now and then, too
      auto client = proxy.Connect();
      for (int i = 0; i < 20 && !stop; ++i) {
        const auto response = client->Ask(request);
        if (!response.has_value() || response->status() != 200) ++failed;
        ++answered;
      }
    }
  };
  const auto talk = [&] {
    auto client = proxy.Connect();
    client->Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
    if (!client->ReadUntil("\r\n\r\n").has_value()) ++failed;
    while (!stop) {
      client->Send("line\n");
      if (client->ReadUntil("\n") != "line\n") ++failed;
      ++answered;
    }
  };
  std::vector<std::thread> clients;
  clients.emplace_back(ask, kGet);
  clients.emplace_back(ask, kPost);
  clients.emplace_back(talk);
  const TestProxy::Members tables[] = {
      {{one.port()}, {two.port()}},
      {{one.port(), EndpointHealth::kDraining}, {two.port()}},
      {{two.port()}},
      {{one.port()}, {two.port(), EndpointHealth::kDraining}},
  };
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kTables; ++i) {
    // Listeners and routes change as well, and whom they believe.
    proxy.http.max_fields = 100 + static_cast<size_t>(i % 7);
    proxy.http.forward.trusted.assign(static_cast<size_t>(i % 3), *IpRange::Parse("10.0.0.0/8"));
    proxy.limits.max_body_bytes = 1'000 + static_cast<uint64_t>(i);
    proxy.Serve(tables[i % std::size(tables)]);
  }
  const auto seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  RecordProperty("tables_per_second", absl::StrCat(kTables / seconds));
  ASSERT_TRUE(Eventually([&] { return answered > 100; }));
  stop = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(failed, 0);
  for (TestApp* app : {&one, &two}) {
    EXPECT_TRUE(Eventually([&] { return proxy.InFlight(app->port()) == 0; }));
  }
}

TEST(FailureTest, DrainedEndpointsAreReportedOnceTheyAreFree) {
  std::promise<void> arrived;
  std::promise<void> proceed;
  TestApp app([&](Wire& wire, int) {
    wire.ReadMessage();
    arrived.set_value();
    proceed.get_future().wait();
    wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    wire.AtEnd();
  });
  TestApp other(TestApp::Answering("other"));
  std::atomic<int> drained{0};
  TestProxy proxy({}, [&] { ++drained; });
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  client->Send(kGet);
  arrived.get_future().wait();
  proxy.Serve({{app.port(), EndpointHealth::kDraining}, {other.port()}});
  EXPECT_EQ(proxy.Connect()->Ask(kGet)->body, "other");
  EXPECT_EQ(drained, 0) << "others finishing means nothing";
  proceed.set_value();
  EXPECT_EQ(client->ReadMessage()->body, "ok");
  EXPECT_TRUE(Eventually([&] { return drained == 1; }));
  EXPECT_EQ(proxy.InFlight(app.port()), 0u);
}

TEST(FailureTest, LeavingEndpointsLoseTheirIdleConnectionsOthersKeepThem) {
  std::atomic<int> open{0};
  const auto script = [&](Wire& wire, int connection) {
    ++open;
    TestApp::Answering("x")(wire, connection);
    --open;
  };
  TestApp stays(script);
  TestApp leaves(script);
  TestProxy proxy({.workers = 1});
  proxy.Serve({{stays.port()}, {leaves.port()}});
  auto client = proxy.Connect();
  for (int i = 0; i < 4; ++i) client->Ask(kGet);
  EXPECT_EQ(open, 2);
  proxy.Serve({{stays.port()}});
  EXPECT_TRUE(Eventually([&] { return open == 1; }));
  for (int i = 0; i < 4; ++i) client->Ask(kGet);
  EXPECT_EQ(stays.connections(), 1);
}

TEST(FailureTest, ATakenListenerIsAnErrorThatNamesIt) {
  uint16_t taken = 0;
  TestApp holder(TestApp::Answering("x"));
  taken = holder.port();
  TestProxy first;
  first.Serve({});
  DataPlane second({.workers = 2});
  ASSERT_TRUE(second.Start().ok());
  const uint16_t free = FreePort();
  for (uint16_t port : {taken, first.port}) {
    const absl::Status status = second.PrepareListeners(
        {{"fine", "127.0.0.1", free, "r"}, {"default", "127.0.0.1", port, "r"}});
    EXPECT_EQ(status.message(), absl::StrCat("listener default: cannot listen on 127.0.0.1:", port,
                                             ": address already in use"));
    EXPECT_FALSE(Wire::Connect(free)->Send("x")) << "nothing has changed";
  }
  EXPECT_THAT(std::string(second.PrepareListeners({{"l", "nowhere", 1, "r"}}).message()),
              HasSubstr("listener l: nowhere is not an IP address"));
}

TEST(FailureTest, ListenersComeAndGoWithTables) {
  TestApp app(TestApp::Answering("x"));
  TestProxy proxy;
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  EXPECT_EQ(client->Ask(kGet)->status(), 200);
  auto table = proxy.Table({{app.port()}});
  const uint16_t next = FreePort();
  table->listeners[0].port = next;
  proxy.Apply(table);
  EXPECT_EQ(Wire::Connect(next)->Ask(kGet)->status(), 200);
  EXPECT_EQ(client->Ask(kGet)->status(), 200) << "its clients live on";
  EXPECT_TRUE(Eventually([&] { return !proxy.Connect()->Send("x"); }));
  proxy.Serve({{app.port()}});
  EXPECT_EQ(proxy.Connect()->Ask(kGet)->status(), 200);
}

TEST(FailureTest, DrainFinishesWhatIsInFlight) {
  std::promise<void> arrived;
  std::promise<void> proceed;
  TestApp app([&](Wire& wire, int) {
    while (auto request = wire.ReadMessage()) {
      if (request->Has("/slow")) {
        arrived.set_value();
        proceed.get_future().wait();
      }
      wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
  });
  TestProxy proxy;
  proxy.Serve({{app.port()}});
  auto idle = proxy.Connect();
  EXPECT_EQ(idle->Ask(kGet)->status(), 200);
  auto busy = proxy.Connect();
  busy->Send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
  arrived.get_future().wait();
  std::atomic<bool> done{false};
  proxy.plane.Drain({.requests = Millis{60'000}}, [&] { done = true; });
  EXPECT_TRUE(idle->AtEnd());
  EXPECT_TRUE(Eventually([&] { return !proxy.Connect()->Send("x"); }));
  EXPECT_FALSE(done);
  proceed.set_value();
  auto response = busy->ReadMessage();
  EXPECT_EQ(response->body, "ok");
  EXPECT_TRUE(response->Has("Connection: close"));
  EXPECT_TRUE(busy->AtEnd());
  EXPECT_TRUE(Eventually([&] { return done.load(); }));
}

// The head said nothing of an end, so the client may have sent its next request already.
TEST(FailureTest, DrainKeepsAConnectionWhoseResponseHadBegun) {
  std::promise<void> proceed;
  TestApp app([&](Wire& wire, int) {
    while (auto request = wire.ReadMessage()) {
      if (request->Has("/slow")) {
        wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
        proceed.get_future().wait();
        wire.Send("k");
      } else {
        wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      }
    }
  });
  TestProxy proxy;
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  client->Send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
  const auto head = client->ReadUntil("\r\n\r\n");
  ASSERT_TRUE(head);
  EXPECT_EQ(head->find("Connection: close"), std::string::npos);
  std::atomic<bool> done{false};
  proxy.plane.Drain({.requests = Millis{60'000}, .idle = Millis{60'000}}, [&] { done = true; });
  proceed.set_value();
  EXPECT_TRUE(client->ReadUntil("ok"));
  const auto next = client->Ask(kGet);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->body, "ok");
  EXPECT_TRUE(next->Has("Connection: close"));
  EXPECT_TRUE(Eventually([&] { return done.load(); }));
}

TEST(FailureTest, DrainIsBounded) {
  std::promise<void> arrived;
  TestApp app([&](Wire& wire, int) {
    wire.ReadMessage();
    arrived.set_value();
    wire.AtEnd();
  });
  TestProxy proxy;
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  client->Send(kGet);
  arrived.get_future().wait();
  std::atomic<bool> done{false};
  proxy.plane.Drain({.requests = Millis{50}}, [&] { done = true; });
  EXPECT_TRUE(Eventually([&] { return done.load(); }));
}

TEST(FailureTest, RunsOutOfDescriptorsAndRecovers) {
#if defined(PANDO_SANITIZED) && defined(__clang__)
  GTEST_SKIP() << "clang's UBSan looks at memory through a pipe of its own";
#endif
  TestApp app(TestApp::Answering("x"));
  TestProxy proxy({.workers = 1});
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  ASSERT_EQ(client->Ask(kGet)->status(), 200);
  // Client and server share this process, so the limit is set right above the last client's own.
  Wire late(UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(late.fd()) + 1;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
  std::vector<UniqueFd> holes;  // below it
  while (true) {
    UniqueFd hole(dup(0));
    if (!hole.valid()) break;
    holes.push_back(std::move(hole));
  }
  const auto address = MakeSocketAddress("127.0.0.1", proxy.port).value();
  EXPECT_EQ(connect(late.fd(), address.get(), address.size), 0);
  EXPECT_TRUE(late.Send(kGet));
  EXPECT_TRUE(Eventually([&] { return proxy.plane.Stats().accept_pauses_total > 0; }));
  // A place for the client, then, is only made by closing the kept upstream connection, and there
  // is none left for a new one: either of the two is answered or waits, nobody is cut off.
  EXPECT_TRUE(client->Send(kGet));
  EXPECT_TRUE(client->ReadMessage().has_value());
  holes.clear();
  EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(late.ReadMessage().has_value());
  EXPECT_EQ(client->Ask(kGet).value_or(Wire::Message{}).status(), 200);
  EXPECT_EQ(late.Ask(kGet).value_or(Wire::Message{}).status(), 200);
}

}  // namespace
}  // namespace pando::proxy
