// Retries are a share of what an app has in hand, over all workers of the proxy.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "proxy/core/retry.h"
#include "proxy/net/held_app.h"
#include "proxy/net/net_test_support.h"

namespace pando::proxy {
namespace {

TEST(RetryBudgetTest, ThreadsNeverTakeMoreThanTheBudget) {
  RetryBudget budget;
  std::atomic<uint32_t> most{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 5'000; ++j) {
        if (!budget.TryTake(25)) continue;
        uint32_t known = most;
        const uint32_t now = budget.taken();
        while (known < now && !most.compare_exchange_weak(known, now)) {
        }
        budget.GiveBack();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(most, 5u);
  EXPECT_EQ(budget.taken(), 0u);
}

// Answers until it is told to end connections on their next request, without a word.
class ClosingApp {
 public:
  ClosingApp()
      : app_([this](Wire& wire, int) {
          while (wire.ReadMessage().has_value()) {
            if (closing) return;
            ++waiting;
            if (!Eventually([this] { return answering.load(); })) return;
            wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
          }
        }) {}
  uint16_t port() const { return app_.port(); }

  std::atomic<int> waiting{0};
  std::atomic<bool> answering{false};
  std::atomic<bool> closing{false};

 private:
  TestApp app_;
};

TEST(RetryBudgetTest, IsSharedByAllWorkers) {
  constexpr int kClients = 8;
  ClosingApp closing;
  HeldApp held;
  TestProxy proxy({.workers = 4});
  proxy.Serve({{closing.port()}, {held.port(), EndpointHealth::kSuspect}});
  // A kept connection for each client, at whichever worker it has come to.
  std::vector<std::unique_ptr<Wire>> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(proxy.Connect());
    clients.back()->Send(Get(i));
  }
  ASSERT_TRUE(Eventually([&] { return closing.waiting == kClients; }));
  closing.answering = true;
  for (const auto& client : clients) ASSERT_EQ(client->ReadMessage()->status(), 200);
  closing.closing = true;
  // Three may be second attempts at a time, however many workers there are.
  for (size_t i = 0; i < kClients; ++i) {
    SCOPED_TRACE(i);
    clients[i]->Send(Get(static_cast<int>(i)));
    if (i < RetryBudget::kMinimum) {
      ASSERT_TRUE(Eventually([&] { return held.order().size() == i + 1; }));
    } else {
      EXPECT_EQ(clients[i]->ReadMessage()->status(), 502);
    }
  }
  EXPECT_EQ(proxy.Stats().retries_total, RetryBudget::kMinimum);
  // What has been taken is given back.
  held.LetGo(1'000);
  for (size_t i = 0; i < RetryBudget::kMinimum; ++i) {
    EXPECT_EQ(clients[i]->ReadMessage()->status(), 200);
  }
  ASSERT_TRUE(Eventually([&] { return proxy.InFlight(held.port()) == 0; }));
  EXPECT_EQ(clients[kClients - 1]->Ask(Get(0))->status(), 200);
}

}  // namespace
}  // namespace pando::proxy
