// Who is waited for, for how long, and whose fault it is when it was too long.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "proxy/net/held_app.h"
#include "proxy/net/net_test_support.h"

namespace pando::proxy {
namespace {

// Reads requests and says nothing.
TestApp::Script Silent(std::atomic<int>* requests = nullptr) {
  return [requests](Wire& wire, int) {
    if (!wire.ReadMessage().has_value()) return;
    if (requests != nullptr) ++*requests;
    wire.AtEnd();
  };
}

// ---- the time of one try

TEST(PerTryTest, AnIdempotentRequestThatTakesTooLongIsSentToAnotherInstance) {
  std::atomic<int> asked{0};
  TestApp silent(Silent(&asked));
  TestApp other(TestApp::Answering("other"));
  for (const bool idempotent : {true, false}) {
    SCOPED_TRACE(idempotent);
    asked = 0;
    TestProxy proxy({.workers = 1});
    proxy.limits.per_try_timeout = Millis{100};
    proxy.Serve({{silent.port()}, {other.port(), EndpointHealth::kSuspect}});
    const auto response = proxy.Connect()->Ask(idempotent ? kGet : kPost);
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->status(), idempotent ? 200 : 504);
    EXPECT_EQ(asked, 1);
    EXPECT_EQ(proxy.Stats().retries_total, idempotent ? 1u : 0u);
    EXPECT_TRUE(Eventually([&] { return proxy.InFlight(silent.port()) == 0; }));
  }
}

TEST(PerTryTest, OnlyOneOtherInstanceIsAsked) {
  std::atomic<int> asked{0};
  TestApp first(Silent(&asked));
  TestApp second(Silent(&asked));
  TestApp third(Silent(&asked));
  TestProxy proxy({.workers = 1});
  proxy.limits.per_try_timeout = Millis{50};
  proxy.Serve({{first.port()}, {second.port()}, {third.port()}});
  const auto response = proxy.Connect()->Ask(kGet);
  EXPECT_EQ(response->status(), 504);
  EXPECT_EQ(response->body, "an instance of web did not answer in time\n");
  EXPECT_EQ(asked, 2);
}

TEST(PerTryTest, TheSameInstanceIsNotAskedAgainNotEvenAfterAKeptConnection) {
  std::atomic<int> asked{0};
  TestApp app([&](Wire& wire, int) {
    if (!wire.ReadMessage().has_value()) return;
    if (++asked == 1) {
      wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      if (!wire.ReadMessage().has_value()) return;
      ++asked;
    }
    wire.AtEnd();
  });
  TestProxy proxy({.workers = 1});
  proxy.limits.per_try_timeout = Millis{50};
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  ASSERT_EQ(client->Ask(kGet)->status(), 200);
  EXPECT_EQ(client->Ask(kGet)->status(), 504);
  EXPECT_EQ(asked, 2);
}

TEST(PerTryTest, TheTotalHoldsForAllTriesTogether) {
  TestApp first(Silent());
  TestApp second(Silent());
  TestProxy proxy({.workers = 1});
  proxy.limits.per_try_timeout = Millis{800};
  proxy.limits.total_timeout = Millis{1'200};
  proxy.Serve({{first.port()}, {second.port(), EndpointHealth::kSuspect}});
  EXPECT_EQ(proxy.Connect()->Ask(kGet)->status(), 504);
  EXPECT_EQ(proxy.Stats().retries_total, 1u);
  for (const InstanceStats& instance : proxy.Stats().instances) {
    const bool is_first = instance.instance == absl::StrCat("127.0.0.1:", first.port());
    EXPECT_EQ(instance.failures_total, is_first ? 1u : 0u)
        << "the second try was not given its time";
  }
}

// ---- who is waited for

// An upload of so many bytes, whose parts the test sends.
std::string UploadHead(size_t size, std::string_view path = "/upload") {
  return absl::StrCat("POST ", std::string(path), " HTTP/1.1\r\nHost: a\r\nContent-Length: ", size,
                      "\r\n\r\n");
}

// Takes uploads and counts their bytes as they come; is silent to GET /silent, answers the rest.
class UploadApp {
 public:
  UploadApp()
      : app_([this](Wire& wire, int) {
          while (const auto head = wire.ReadUntil("\r\n\r\n")) {
            if (head->find("GET /silent") == 0) {
              wire.AtEnd();
              return;
            }
            const size_t at = head->find("Content-Length: ");
            size_t left = at == std::string::npos ? 0 : std::stoul(head->substr(at + 16));
            while (left > 0) {
              const size_t part = paced ? 1 : left;
              if (!wire.ReadExactly(part).has_value()) return;
              received += part;
              left -= part;
            }
            wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nupload");
          }
        }) {}
  uint16_t port() const { return app_.port(); }

  std::atomic<size_t> received{0};
  std::atomic<bool> paced{true};  // reads byte by byte

 private:
  TestApp app_;
};

TEST(FirstByteTest, RunsFromTheEndOfARequest) {
  UploadApp app;
  TestProxy proxy({.workers = 1});
  proxy.limits.first_byte_timeout = Millis{500};
  proxy.limits.per_try_timeout = Millis{400};
  proxy.Serve({{app.port()}});
  constexpr size_t kBytes = 1'000'000;  // at most
  auto client = proxy.Connect();
  client->Send(UploadHead(kBytes));
  // A body that flows for longer than that.
  const auto start = std::chrono::steady_clock::now();
  size_t sent = 0;
  while (std::chrono::steady_clock::now() - start < Millis{1'000}) {
    ASSERT_LT(sent, kBytes / 2);
    ASSERT_TRUE(client->Send("x"));
    ++sent;
    ASSERT_TRUE(Eventually([&] { return app.received == sent; }));
  }
  // A client that pauses for longer than that: for as long as another one, who comes after, waits
  // in vain for an answer.
  EXPECT_EQ(proxy.Connect()->Ask("GET /silent HTTP/1.1\r\nHost: a\r\n\r\n")->status(), 504);
  app.paced = false;
  ASSERT_TRUE(client->Send(std::string(kBytes - sent, 'x')));
  const auto response = client->ReadMessage();
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->status(), 200);
  EXPECT_EQ(app.received, kBytes);
}

TEST(FirstByteTest, HoldsForAnInstanceThatReadsNoMoreOfABody) {
  std::atomic<bool> given_up{false};
  TestApp app([&](Wire& wire, int) {
    wire.ReadUntil("\r\n\r\n");
    EXPECT_TRUE(Eventually([&] { return given_up.load(); }));
  });
  TestProxy proxy({.workers = 1});
  proxy.limits.first_byte_timeout = Millis{200};
  proxy.Serve({{app.port()}});
  constexpr size_t kBytes = 64u << 20;
  auto client = proxy.Connect();
  client->Send(UploadHead(kBytes));
  std::thread sender([&] { client->Send(std::string(kBytes, 'x')); });
  const auto response = client->ReadMessage();
  given_up = true;
  client->Shutdown();
  sender.join();
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->status(), 504);
}

TEST(FirstByteTest, HoldsForAnInstanceThatDoesNotSayGoOn) {
  TestApp app(Silent());
  TestProxy proxy({.workers = 1});
  proxy.limits.first_byte_timeout = Millis{50};
  proxy.Serve({{app.port()}});
  EXPECT_EQ(proxy.Connect()
                ->Ask("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                      "Content-Length: 3\r\n\r\n")
                ->status(),
            504);
}

TEST(FirstByteTest, AnInterimAnswerIsNone) {
  std::atomic<int> asked{0};
  TestApp app([&](Wire& wire, int) {
    wire.ReadMessage();
    ++asked;
    wire.Send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    wire.AtEnd();
  });
  TestApp other(TestApp::Answering("other"));
  TestProxy proxy({.workers = 1});
  proxy.limits.per_try_timeout = Millis{50};
  proxy.Serve({{app.port()}, {other.port(), EndpointHealth::kSuspect}});
  auto client = proxy.Connect();
  client->Send(kGet);
  EXPECT_EQ(client->ReadMessage()->status(), 103);
  EXPECT_EQ(client->ReadMessage()->status(), 504) << "and too late for another instance";
}

TEST(StreamIdleTest, EndsATunnelInWhichNothingIsSaid) {
  std::atomic<bool> ended{false};
  TestApp app([&](Wire& wire, int) {
    wire.ReadMessage();
    wire.Send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
    while (auto line = wire.ReadUntil("\n")) wire.Send(*line);
    ended = true;
  });
  TestProxy proxy({.workers = 1, .limits = {.stream_idle_timeout = Millis{300}}});
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  client->Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
  ASSERT_EQ(client->ReadMessage()->status(), 101);
  // Not while either side speaks.
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < Millis{600}) {
    ASSERT_TRUE(client->Send("line\n"));
    ASSERT_EQ(client->ReadUntil("\n"), "line\n");
  }
  EXPECT_TRUE(client->AtEnd());
  EXPECT_TRUE(Eventually([&] { return ended && proxy.InFlight(app.port()) == 0; }));
}

// ---- whose fault it is

TEST(BlameTest, ATotalThatEndsAmidAStreamIsNotTheInstancesFault) {
  TestApp streaming([](Wire& wire, int) {
    while (const auto request = wire.ReadMessage()) {
      if (!request->Has("/stream")) {
        wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nstreaming");
        continue;
      }
      wire.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n.\r\n");
      wire.AtEnd();
      return;
    }
  });
  TestApp other(TestApp::Answering("other"));
  TestProxy proxy({.workers = 1});
  proxy.limits.total_timeout = Millis{100};
  proxy.Serve({{streaming.port()}, {other.port(), EndpointHealth::kSuspect}});
  auto client = proxy.Connect();
  client->Send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(client->ReadUntil("1\r\n.\r\n").has_value());
  EXPECT_TRUE(client->AtEnd()) << "cut by the total";
  EXPECT_EQ(proxy.Connect()->Ask(kGet)->body, "streaming") << "it is not passed over for that";
  EXPECT_EQ(proxy.Stats().ejections_total, 0u);
}

TEST(BlameTest, ATotalSpentInTheQueueIsNotTheInstancesFault) {
  HeldApp held;
  TestApp other(TestApp::Answering("other"));
  TestProxy proxy({.workers = 1});
  proxy.concurrency = {Concurrency::Kind::kFixed, 1};
  proxy.Serve({{held.port()}});
  auto first = proxy.Connect();
  first->Send(Get(0));
  ASSERT_TRUE(Eventually([&] { return held.order().size() == 1; }));
  proxy.limits.total_timeout = Millis{2'000};
  proxy.Serve({{held.port()}});
  const auto start = std::chrono::steady_clock::now();
  auto second = proxy.Connect();
  second->Send(Get(1));
  ASSERT_TRUE(Eventually([&] { return proxy.Stats().queue.waiting == 1; }));
  // More than half of its time is over when its turn comes.
  ASSERT_TRUE(Eventually([&] { return std::chrono::steady_clock::now() - start > Millis{1'200}; }));
  held.LetGo(1);
  EXPECT_EQ(first->ReadMessage()->status(), 200);
  ASSERT_EQ(second->ReadMessage()->status(), 504);
  proxy.Serve({{held.port()}, {other.port(), EndpointHealth::kSuspect}});
  held.LetGo(10);
  EXPECT_EQ(proxy.Connect()->Ask(Get(2))->body, "ok") << "of the same instance";
}

TEST(BlameTest, AnInstanceThatTakesAnUploadIsNotTakenForStalled) {
  UploadApp app;
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
  proxy.Serve({{app.port()}});
  auto upload = proxy.Connect();
  upload->Send(UploadHead(1'000'000) + "x");
  ASSERT_TRUE(Eventually([&] { return app.received == 1; }));
  proxy.Serve({{app.port()}, {other.port()}});
  // The other one has less to do and answers everything, for longer than a stall takes.
  auto client = proxy.Connect();
  uint64_t asked = 0;
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < Millis{2'600}) {
    ASSERT_EQ(client->Ask(kGet)->body, "other");
    ++asked;
  }
  // As soon as the other one has as much to do, the one with the upload gets requests again.
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
