// Whoever waits is given the instance it would have been picked by at once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proxy/core/request_key.h"
#include "proxy/net/held_app.h"
#include "proxy/net/net_test_support.h"

namespace pando::proxy {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

class QueuePickTest : public testing::Test {
 protected:
  QueuePickTest() : proxy({.workers = 1}) { proxy.concurrency = {Concurrency::Kind::kFixed, 1}; }

  Wire& Send(const std::string& request) {
    clients.push_back(proxy.Connect());
    clients.back()->Send(request);
    return *clients.back();
  }
  void SendAndServe(int i, const std::string& fields, const HeldApp& app) {
    const size_t before = app.order().size();
    Send(Request(i, fields));
    EXPECT_TRUE(Eventually([&] { return app.order().size() == before + 1; }));
  }
  void SendAndQueue(int i, const std::string& fields) {
    const uint64_t before = proxy.Stats().queue.waiting;
    Send(Request(i, fields));
    EXPECT_TRUE(Eventually([&] { return proxy.Stats().queue.waiting == before + 1; }));
  }
  static std::string Request(int i, const std::string& fields) {
    return absl::StrCat("GET /", i, " HTTP/1.1\r\nHost: a\r\n", fields, "\r\n");
  }

  HeldApp first;
  HeldApp second;
  TestProxy proxy;
  std::vector<std::unique_ptr<Wire>> clients;
};

TEST_F(QueuePickTest, AStickyRequestWaitsForItsOwnInstanceAndOthersPassIt) {
  proxy.policy = LbPolicy::kSticky;
  proxy.hash.kind = HashSource::Kind::kCookie;
  proxy.hash.name = "pando";
  proxy.Serve({{first.port()}, {second.port()}});
  Endpoint endpoint;
  endpoint.address = "127.0.0.1";
  endpoint.port = first.port();
  const std::string own = absl::StrCat("Cookie: pando=", StickyId(endpoint), "\r\n");

  SendAndServe(0, own, first);
  SendAndQueue(1, own);  // though the other instance is free
  SendAndServe(2, "", second);
  SendAndQueue(3, "");
  second.LetGo(1);
  EXPECT_TRUE(Eventually([&] { return second.order().size() == 2; })) << "that is no room for /1";
  first.LetGo(1);
  EXPECT_TRUE(Eventually([&] { return first.order().size() == 2; }));
  EXPECT_THAT(first.order(), ElementsAre("/0", "/1"));
  EXPECT_THAT(second.order(), ElementsAre("/2", "/3"));
  // When it may not be used any more nobody waits for it.
  SendAndQueue(4, own);
  proxy.Serve({{first.port(), EndpointHealth::kDraining}, {second.port()}});
  second.LetGo(1);
  EXPECT_TRUE(Eventually([&] { return second.order().size() == 3; }));
  EXPECT_EQ(second.order()[2], "/4");
  first.LetGo(10);
  second.LetGo(10);
  for (const auto& client : clients) EXPECT_EQ(client->ReadMessage()->status(), 200);
}

class QueuedKeyTest : public QueuePickTest, public testing::WithParamInterface<LbPolicy> {};

TEST_P(QueuedKeyTest, GoesToItsOwnInstanceIfThatHasRoom) {
  proxy.policy = GetParam();
  proxy.hash.kind = HashSource::Kind::kHeader;
  proxy.hash.name = "x-user";
  proxy.Serve({{first.port()}, {second.port()}});
  // Whose key is whose.
  const auto field = [](int user) { return absl::StrCat("X-User: ", user, "\r\n"); };
  int of_first = -1;
  int of_second = -1;
  for (int user = 0; of_first < 0 || of_second < 0; ++user) {
    const size_t before = first.order().size() + second.order().size();
    const size_t at_first = first.order().size();
    Wire& client = Send(Request(100 + user, field(user)));
    ASSERT_TRUE(Eventually([&] { return first.order().size() + second.order().size() > before; }));
    const bool is_first = first.order().size() > at_first;
    (is_first ? of_first : of_second) = user;
    (is_first ? first : second).LetGo(1);
    ASSERT_EQ(client.ReadMessage()->status(), 200);
  }
  clients.clear();
  const size_t first_before = first.order().size();
  const size_t second_before = second.order().size();
  SendAndServe(0, field(of_first), first);
  SendAndServe(0, field(of_second), second);
  for (int i = 1; i <= 6; ++i) SendAndQueue(i, field(i % 2 == 0 ? of_first : of_second));
  proxy.concurrency.limit = 4;
  proxy.Serve({{first.port()}, {second.port()}});
  ASSERT_TRUE(Eventually([&] {
    return first.order().size() + second.order().size() == first_before + second_before + 8;
  }));
  const auto since = [](const HeldApp& app, size_t before) {
    const std::vector<std::string> order = app.order();
    return std::vector<std::string>(order.begin() + static_cast<std::ptrdiff_t>(before),
                                    order.end());
  };
  EXPECT_THAT(since(first, first_before), UnorderedElementsAre("/0", "/2", "/4", "/6"));
  EXPECT_THAT(since(second, second_before), UnorderedElementsAre("/0", "/1", "/3", "/5"));
  first.LetGo(10);
  second.LetGo(10);
  for (const auto& client : clients) EXPECT_EQ(client->ReadMessage()->status(), 200);
}

INSTANTIATE_TEST_SUITE_P(Policies, QueuedKeyTest,
                         testing::Values(LbPolicy::kRingHash, LbPolicy::kMaglev));

// Ends without a word once it is told to; until then it holds what it has.
struct DyingApp {
  std::atomic<int> taken{0};
  std::atomic<bool> dies{false};
  TestApp app{[this](Wire& wire, int) {
    if (!wire.ReadMessage().has_value()) return;
    ++taken;
    EXPECT_TRUE(Eventually([this] { return dies.load(); }));
  }};
};

TEST_F(QueuePickTest, ARetryThatWaitsIsNotGivenTheInstanceThatFailedIt) {
  DyingApp dying;
  proxy.Serve({{first.port()}});
  SendAndServe(0, "", first);
  proxy.Serve({{first.port()}, {dying.app.port()}});
  Wire& retried = Send(Get(1));
  ASSERT_TRUE(Eventually([&] { return dying.taken == 1; }));
  dying.dies = true;
  // It waits for the busy one, though the one that failed it has room again.
  ASSERT_TRUE(Eventually([&] { return proxy.Stats().queue.waiting == 1; }));
  // Those behind it may have that one: it fails this one, too, which then waits as well.
  Send(Get(2));
  ASSERT_TRUE(Eventually([&] { return dying.taken == 2; }));
  ASSERT_TRUE(Eventually([&] { return proxy.Stats().queue.waiting == 2; }));
  first.LetGo(3);
  EXPECT_EQ(retried.ReadMessage()->status(), 200);
  EXPECT_EQ(clients.back()->ReadMessage()->status(), 200);
  EXPECT_EQ(dying.taken, 2);
  EXPECT_THAT(first.order(), ElementsAre("/0", "/1", "/2"));
}

TEST_F(QueuePickTest, ARetryThatHasNowhereToGoAnyMoreIsToldSoAtOnce) {
  DyingApp dying;
  proxy.Serve({{first.port()}});
  SendAndServe(0, "", first);
  proxy.Serve({{first.port()}, {dying.app.port()}});
  Wire& retried = Send(Get(1));
  ASSERT_TRUE(Eventually([&] { return dying.taken == 1; }));
  dying.dies = true;
  ASSERT_TRUE(Eventually([&] { return proxy.Stats().queue.waiting == 1; }));
  proxy.Serve({{first.port(), EndpointHealth::kDraining}, {dying.app.port()}});
  const auto response = retried.ReadMessage();
  ASSERT_TRUE(response.has_value()) << "it would have waited for half a minute";
  EXPECT_EQ(response->status(), 502);
  EXPECT_EQ(response->body, "no other instance of web is ready\n");
  EXPECT_EQ(proxy.Stats().queue.waiting, 0u);
  first.LetGo(1);
  EXPECT_EQ(clients.front()->ReadMessage()->status(), 200);
}

}  // namespace
}  // namespace pando::proxy
