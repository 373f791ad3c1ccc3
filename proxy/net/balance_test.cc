// How requests are spread, as clients and instances see it: who is passed over and who comes back,
// who warms up, who keeps its instance.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proxy/net/held_app.h"
#include "proxy/net/net_test_support.h"

namespace pando::proxy {
namespace {

TEST(StickyCookieTest, BringsAClientBackToItsInstance) {
  TestApp first(TestApp::Answering("first"));
  TestApp second(TestApp::Answering("second"));
  TestProxy proxy({.workers = 1});
  proxy.policy = LbPolicy::kSticky;
  proxy.hash.kind = HashSource::Kind::kCookie;
  proxy.hash.name = "pando";
  proxy.Serve({{first.port()}, {second.port()}});
  auto client = proxy.Connect();
  const auto response = client->Ask(Get(0));
  const size_t at = response->head.find("Set-Cookie: pando=");
  ASSERT_NE(at, std::string::npos) << response->head;
  const std::string cookie = response->head.substr(at + 12, 22);
  for (int i = 0; i < 10; ++i) {
    const auto again =
        client->Ask(absl::StrCat("GET / HTTP/1.1\r\nHost: a\r\nCookie: x=1; ", cookie, "\r\n\r\n"));
    EXPECT_EQ(again->body, response->body);
    EXPECT_FALSE(absl::StrContains(again->head, "Set-Cookie")) << "it has it already";
  }
}

TEST(SlowStartTest, AnInstanceThatJoinsGetsItsShareLittleByLittle) {
  std::atomic<int> of_old{0};
  std::atomic<int> of_young{0};
  TestApp old(TestApp::Answering("x", &of_old));
  TestApp young(TestApp::Answering("x", &of_young));
  TestProxy proxy({.workers = 1});
  proxy.slow_start = std::chrono::hours(1);
  proxy.Serve({{old.port()}});
  auto client = proxy.Connect();
  const auto ask = [&](int count) {
    of_old = of_young = 0;
    for (int i = 0; i < count; ++i) ASSERT_EQ(client->Ask(Get(i))->status(), 200);
  };
  ask(1);
  proxy.Serve({{old.port()}, {young.port()}});
  ask(110);
  EXPECT_NEAR(of_young, 10, 2) << "a tenth against one";
  // Its age is its own, not that of the table.
  proxy.Serve({{old.port()}, {young.port()}});
  ask(110);
  EXPECT_NEAR(of_young, 10, 2);
  proxy.slow_start = Millis{1};
  proxy.Serve({{old.port()}, {young.port()}});
  ask(110);
  EXPECT_NEAR(of_young, 55, 2);
}

TEST(ConcurrencyTest, AutoFindsOutThatAnAppDoesOneThingAtATime) {
  std::mutex one_at_a_time;
  std::atomic<bool> over{false};
  TestApp app([&](Wire& wire, int) {
    while (wire.ReadMessage().has_value()) {
      {
        const std::lock_guard lock(one_at_a_time);
        const auto start = std::chrono::steady_clock::now();
        while (std::chrono::steady_clock::now() - start < Millis{1} && !over) {
        }
      }
      wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
  });
  TestProxy proxy({.workers = 2});
  proxy.concurrency = {Concurrency::Kind::kAuto, 0};
  proxy.Serve({{app.port()}});
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&] {
      auto client = proxy.Connect();
      while (!over) {
        const auto response = client->Ask(Get(0));
        EXPECT_TRUE(response.has_value() && response->status() == 200);
      }
    });
  }
  // It begins without a limit, so nobody waits but for one that has been found.
  EXPECT_TRUE(Eventually([&] { return proxy.Stats().queue.wait.count() > 100; }));
  over = true;
  for (std::thread& client : clients) client.join();
}

TEST(OutlierTrafficTest, AnInstanceWhoseErrorsStandOutIsPassedOver) {
  TestApp first(TestApp::Answering("good"));
  TestApp second(TestApp::Answering("good"));
  std::atomic<int> of_bad{0};
  TestApp bad([&](Wire& wire, int) {
    while (wire.ReadMessage().has_value()) {
      // Every other one: never enough in a row to be passed over for.
      const bool fails = ++of_bad % 2 == 0;
      wire.Send(fails ? "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"
                      : "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }
  });
  TestProxy proxy({.workers = 2});
  proxy.outlier.interval = Millis{100};
  proxy.outlier.success_rate_volume = 10;
  proxy.outlier.base_ejection = Millis{60'000};
  proxy.Serve({{first.port()}, {second.port()}, {bad.port()}});
  auto client = proxy.Connect();
  ASSERT_TRUE(Eventually([&] {
    for (int i = 0; i < 30; ++i) client->Ask(Get(i));
    return proxy.Stats().ejections_total == 1;
  }));
  // By the worker that noticed and by all others.
  const int before = of_bad;
  for (int i = 0; i < 8; ++i) {
    auto other = proxy.Connect();
    for (int j = 0; j < 10; ++j) EXPECT_EQ(other->Ask(Get(j))->status(), 200);
  }
  EXPECT_EQ(of_bad, before);
}

TEST(OutlierTrafficTest, AnInstanceThatRefusesConnectionsIsPassedOver) {
  TestApp good(TestApp::Answering("good"));
  TestProxy proxy({.workers = 1});
  proxy.outlier.consecutive_failures = 2;
  proxy.outlier.base_ejection = Millis{60'000};
  proxy.Serve({{good.port()}, {FreePort()}});
  auto client = proxy.Connect();
  ASSERT_TRUE(Eventually([&] {
    EXPECT_EQ(client->Ask(Get(0))->body, "good") << "nobody notices";
    return proxy.Stats().ejections_total == 1;
  }));
  EXPECT_EQ(proxy.Stats().connect_failures_total, 2u);
}

TEST(OutlierTrafficTest, WhenTooFewAreLeftNobodyIsPassedOver) {
  const auto failing = [](std::atomic<int>& requests) {
    return [&requests](Wire& wire, int) {
      while (wire.ReadMessage().has_value()) {
        ++requests;
        wire.Send("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
      }
    };
  };
  std::atomic<int> of_first{0};
  std::atomic<int> of_second{0};
  TestApp first(failing(of_first));
  TestApp second(failing(of_second));
  TestApp good(TestApp::Answering("good"));
  TestProxy proxy({.workers = 1});
  proxy.outlier.max_ejected_percent = 100;
  proxy.outlier.consecutive_failures = 3;
  proxy.outlier.base_ejection = Millis{60'000};
  proxy.Serve({{first.port()}, {second.port()}, {good.port()}});
  auto client = proxy.Connect();
  for (int i = 0; i < 30; ++i) client->Ask(Get(i));
  ASSERT_EQ(proxy.Stats().ejections_total, 2u) << "a third is left, less than half";
  const int before = of_first + of_second;
  for (int i = 0; i < 30; ++i) client->Ask(Get(i));
  EXPECT_GE(of_first + of_second - before, 15) << "it may not be they who are at fault";
}

TEST(OutlierTrafficTest, AnInstanceThatAnswers503IsPassedOver) {
  TestApp good(TestApp::Answering("good"));
  TestApp bad([](Wire& wire, int) {
    while (wire.ReadMessage().has_value()) {
      wire.Send("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    }
  });
  TestProxy proxy({.workers = 1});
  proxy.Serve({{good.port()}, {bad.port()}});
  auto client = proxy.Connect();
  int failed = 0;
  for (int i = 0; i < 200; ++i) failed += client->Ask(Get(i))->status() == 503 ? 1 : 0;
  EXPECT_EQ(failed, 5) << "as many in a row as it takes";
  EXPECT_EQ(proxy.Stats().ejections_total, 1u);
}

TEST(OutlierTrafficTest, AnInstanceThatStopsAnsweringIsPassedOver) {
  TestApp good(TestApp::Answering("good"));
  HeldApp hung;
  TestProxy proxy({.workers = 1});  // round robin: every second request would get stuck
  proxy.Serve({{good.port()}, {hung.port()}});
  std::vector<std::unique_ptr<Wire>> clients;
  const auto start = std::chrono::steady_clock::now();
  int answered_in_a_row = 0;
  ASSERT_TRUE(Eventually([&] {
    const uint64_t answered = proxy.Stats().requests_total;
    const size_t held = hung.order().size();
    clients.push_back(proxy.Connect());
    clients.back()->Send(Get(0));
    EXPECT_TRUE(Eventually(
        [&] { return proxy.Stats().requests_total > answered || hung.order().size() > held; }));
    answered_in_a_row = hung.order().size() > held ? 0 : answered_in_a_row + 1;
    return answered_in_a_row >= 10;
  }));
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::seconds(2)) << "not sooner";
  // Once it answers it is trusted again.
  hung.LetGo(1'000'000);
  const size_t before = hung.order().size();
  ASSERT_TRUE(Eventually([&] {
    auto client = proxy.Connect();
    EXPECT_EQ(client->Ask(Get(1))->status(), 200);
    return hung.order().size() > before;
  }));
}

TEST(OutlierTrafficTest, AnInstanceThatStreamsIsNotTakenForStalled) {
  TestApp streaming([](Wire& wire, int) {
    while (auto request = wire.ReadMessage()) {
      if (request->Has("/stream")) {
        wire.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n.\r\n");
        wire.AtEnd();
        return;
      }
      wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nstreaming");
    }
  });
  std::atomic<int> held{0};
  TestApp other([&](Wire& wire, int) {
    while (auto request = wire.ReadMessage()) {
      if (request->Has("/hold")) {
        ++held;
        wire.AtEnd();
        return;
      }
      wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother");
    }
  });
  TestProxy proxy({.workers = 1});
  proxy.policy = LbPolicy::kLeastRequest;
  proxy.Serve({{streaming.port()}});
  auto stream = proxy.Connect();
  stream->Send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(stream->ReadUntil(".\r\n").has_value());
  proxy.Serve({{streaming.port()}, {other.port()}});
  // The other one has less to do and answers everything, for longer than a stall takes.
  auto client = proxy.Connect();
  uint64_t asked = 0;
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < Millis{2'600}) {
    ASSERT_EQ(client->Ask(Get(0))->body, "other");
    ++asked;
  }
  // As soon as the other one has as much to do, the streaming one gets requests again.
  std::vector<std::unique_ptr<Wire>> holders;
  ASSERT_TRUE(Eventually([&] { return proxy.Stats().requests_total == asked; }));
  while (held < 5 && proxy.Stats().requests_total == asked) {
    const int before = held;
    holders.push_back(proxy.Connect());
    holders.back()->Send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_TRUE(Eventually([&] { return held > before || proxy.Stats().requests_total > asked; }));
  }
  EXPECT_LE(held, 2);
}

}  // namespace
}  // namespace pando::proxy
