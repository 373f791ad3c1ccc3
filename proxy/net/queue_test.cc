// Late binding: an instance has as many requests in hand as it may, the others wait in one queue.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "proxy/net/held_app.h"
#include "proxy/net/net_test_support.h"

namespace pando::proxy {
namespace {

class QueueTest : public testing::Test {
 protected:
  explicit QueueTest(int workers = 1) : proxy({.workers = workers}) {
    proxy.concurrency = {Concurrency::Kind::kFixed, 1};
  }

  // Sends request `i` on a connection of its own and returns when it has reached the proxy's queue.
  Wire& SendAndQueue(int i) {
    const uint64_t before = proxy.Stats().queue.queued_total;
    clients.push_back(proxy.Connect());
    clients.back()->Send(Get(i));
    EXPECT_TRUE(Eventually([&] { return proxy.Stats().queue.queued_total == before + 1; }));
    return *clients.back();
  }
  Wire& SendAndServe(int i, const HeldApp& app) {
    clients.push_back(proxy.Connect());
    clients.back()->Send(Get(i));
    const std::string path = absl::StrCat("/", i);
    EXPECT_TRUE(Eventually([&] {
      const auto order = app.order();
      return std::find(order.begin(), order.end(), path) != order.end();
    }));
    return *clients.back();
  }

  TestProxy proxy;
  std::vector<std::unique_ptr<Wire>> clients;
};

TEST_F(QueueTest, AnInstanceGetsOneAtATimeInTheOrderOfArrival) {
  HeldApp app;
  proxy.Serve({{app.port()}});
  SendAndServe(0, app);
  for (int i = 1; i <= 5; ++i) SendAndQueue(i);
  EXPECT_EQ(proxy.Stats().queue.waiting, 5u);
  app.LetGo(6);
  for (const auto& client : clients) EXPECT_EQ(client->ReadMessage()->status(), 200);
  EXPECT_THAT(app.order(), testing::ElementsAre("/0", "/1", "/2", "/3", "/4", "/5"));
  EXPECT_EQ(app.most_in_hand(), 1);
  const QueueStats stats = proxy.Stats().queue;
  EXPECT_EQ(stats.waiting, 0u);
  EXPECT_EQ(stats.wait.count(), 5u);
}

TEST_F(QueueTest, WhoFindsTheQueueFullIsToldAtOnce) {
  HeldApp app;
  proxy.queue.max = 2;
  proxy.Serve({{app.port()}});
  SendAndServe(0, app);
  SendAndQueue(1);
  SendAndQueue(2);
  auto third = proxy.Connect();
  const auto response = third->Ask(Get(3));
  EXPECT_EQ(response->status(), 503);
  EXPECT_TRUE(response->Has("Retry-After: 1"));
  EXPECT_EQ(response->body, "too many requests wait for an instance of web\n");
  EXPECT_EQ(proxy.Stats().queue.full_total, 1u);
  app.LetGo(3);
  for (const auto& client : clients) EXPECT_EQ(client->ReadMessage()->status(), 200);
}

TEST_F(QueueTest, WhoWaitsTooLongIsTold) {
  HeldApp app;
  proxy.queue.timeout = Millis{50};
  proxy.Serve({{app.port()}});
  SendAndServe(0, app);
  const auto response = SendAndQueue(1).ReadMessage();
  EXPECT_EQ(response->status(), 503);
  EXPECT_EQ(response->body, "no instance of web had room in time\n");
  EXPECT_EQ(proxy.Stats().queue.timeouts_total, 1u);
  EXPECT_EQ(proxy.Stats().queue.waiting, 0u);
  // Its connection lives on, and so does the queue.
  proxy.queue.timeout = Millis{10'000};
  proxy.Serve({{app.port()}});
  clients.back()->Send(Get(2));
  ASSERT_TRUE(Eventually([&] { return proxy.Stats().queue.waiting == 1; }));
  app.LetGo(2);
  EXPECT_EQ(clients.back()->ReadMessage()->status(), 200);
}

TEST_F(QueueTest, WhoLeavesIsNotServed) {
  HeldApp app;
  proxy.Serve({{app.port()}});
  Wire& first = SendAndServe(0, app);
  SendAndQueue(1);
  Wire& second = SendAndQueue(2);
  clients[1]->Shutdown();
  ASSERT_TRUE(Eventually([&] { return proxy.Stats().queue.abandoned_total == 1; }));
  app.LetGo(2);
  EXPECT_EQ(first.ReadMessage()->status(), 200);
  EXPECT_EQ(second.ReadMessage()->status(), 200);
  EXPECT_THAT(app.order(), testing::ElementsAre("/0", "/2"));
}

TEST_F(QueueTest, ANewInstanceServesThoseWhoWaitAndADrainingOneDoesNot) {
  HeldApp old;
  HeldApp young;
  proxy.Serve({{old.port()}});
  SendAndServe(0, old);
  SendAndQueue(1);
  proxy.Serve({{old.port(), EndpointHealth::kDraining}, {young.port()}});
  ASSERT_TRUE(Eventually([&] { return young.order().size() == 1; }));
  SendAndQueue(2);
  old.LetGo(1);
  EXPECT_EQ(clients[0]->ReadMessage()->status(), 200);
  EXPECT_EQ(proxy.Stats().queue.waiting, 1u) << "what the draining one gave back is no room";
  young.LetGo(2);
  EXPECT_EQ(clients[1]->ReadMessage()->status(), 200);
  EXPECT_EQ(clients[2]->ReadMessage()->status(), 200);
  EXPECT_THAT(old.order(), testing::ElementsAre("/0"));
  EXPECT_EQ(proxy.InFlight(old.port()), 0u);
}

TEST_F(QueueTest, AStreamHoldsNoSlot) {
  TestApp app([](Wire& wire, int) {
    while (const auto request = wire.ReadMessage()) {
      if (request->Has("GET /events")) {
        wire.Send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
        wire.ReadMessage();  // for ever
        return;
      }
      wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
  });
  proxy.Serve({{app.port()}});
  auto listener = proxy.Connect();
  listener->Send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(listener->ReadUntil("data: 1\n\n").has_value());
  auto client = proxy.Connect();
  EXPECT_EQ(client->Ask(Get(1))->status(), 200);
}

TEST_F(QueueTest, AHigherLimitMakesRoomAtOnce) {
  HeldApp app;
  proxy.Serve({{app.port()}});
  SendAndServe(0, app);
  SendAndQueue(1);
  SendAndQueue(2);
  proxy.concurrency.limit = 2;
  proxy.Serve({{app.port()}});
  ASSERT_TRUE(Eventually([&] { return app.order().size() == 2; }));
  EXPECT_EQ(proxy.Stats().queue.waiting, 1u);
  proxy.concurrency = {Concurrency::Kind::kUnlimited, 0};
  proxy.Serve({{app.port()}});
  ASSERT_TRUE(Eventually([&] { return app.order().size() == 3; }));
  app.LetGo(3);
  for (const auto& client : clients) EXPECT_EQ(client->ReadMessage()->status(), 200);
}

TEST_F(QueueTest, AnotherTryTakesASlotLikeAnyRequestAndWaitsBeforeAllOthers) {
  HeldApp app;
  proxy.Serve({{app.port()}});
  SendAndServe(0, app);
  // Only this one is free, takes a request and ends without a word.
  std::atomic<bool> taken = false;
  std::atomic<bool> die = false;
  TestApp dying([&](Wire& wire, int) {
    wire.ReadMessage();
    taken = true;
    EXPECT_TRUE(Eventually([&] { return die.load(); }));
  });
  proxy.Serve({{app.port()}, {dying.port()}});
  clients.push_back(proxy.Connect());
  Wire& retried = *clients.back();
  retried.Send(Get(1));
  ASSERT_TRUE(Eventually([&] { return taken.load(); }));
  SendAndQueue(2);
  die = true;
  ASSERT_TRUE(Eventually([&] { return proxy.Stats().queue.queued_total == 2; }));
  EXPECT_EQ(app.order().size(), 1u);
  app.LetGo(2);
  EXPECT_EQ(retried.ReadMessage()->status(), 200);
  EXPECT_EQ(app.most_in_hand(), 1);
  EXPECT_EQ(app.order()[1], "/1");
  app.LetGo(10);
}

// Workers share the slots, and a slot given back by one wakes whoever waits at the other.
TEST(QueueOfWorkersTest, HoldTheLimitTogetherAndLoseNobody) {
  constexpr int kClients = 24;
  constexpr int kRequests = 40;
  std::atomic<int> in_hand[2] = {};
  std::atomic<int> most[2] = {};
  const auto script = [&](int app) {
    return [&, app](Wire& wire, int) {
      while (wire.ReadMessage().has_value()) {
        const int now = ++in_hand[app];
        int known = most[app];
        while (known < now && !most[app].compare_exchange_weak(known, now)) {
        }
        --in_hand[app];
        wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      }
    };
  };
  TestApp first(script(0));
  TestApp second(script(1));
  TestProxy proxy({.workers = 3});
  proxy.concurrency = {Concurrency::Kind::kFixed, 2};
  proxy.Serve({{first.port()}, {second.port()}});
  std::atomic<int> answered{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kClients; ++i) {
    threads.emplace_back([&] {
      auto client = proxy.Connect();
      for (int j = 0; j < kRequests; ++j) {
        const auto response = client->Ask(Get(j));
        if (response.has_value() && response->status() == 200) ++answered;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(answered, kClients * kRequests);
  EXPECT_LE(most[0], 2);
  EXPECT_LE(most[1], 2);
  EXPECT_TRUE(Eventually([&] { return proxy.Stats().queue.waiting == 0; }));
}

}  // namespace
}  // namespace pando::proxy
