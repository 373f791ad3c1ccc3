// Every system call of a worker fails once, at every step of a conversation: whatever happens, a
// client gets a whole answer, an error or the connection's end; nothing hangs, leaks or is done
// twice, and the next client is served.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <mutex>
#include <string>

#include "absl/strings/str_cat.h"
#include "proxy/net/fault_seam.h"
#include "proxy/net/net_test_support.h"

namespace pando::proxy {
namespace {

constexpr size_t kBody = 200'000;  // more than a socket takes at once

size_t OpenDescriptors() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    ++count;
  }
  return count;
}

// Echoes bodies, talks in tunnels, and knows how often it was asked for the same thing.
class CountingApp {
 public:
  CountingApp() : app_([this](Wire& wire, int) { Serve(wire); }) {}

  uint16_t port() const { return app_.port(); }
  int TimesDone(const std::string& id) {
    std::lock_guard lock(mutex_);
    return done_[id];
  }

 private:
  void Serve(Wire& wire) {
    while (auto request = wire.ReadUntil("\r\n\r\n")) {
      if (request->find("Expect: ") != std::string::npos) {
        wire.Send("HTTP/1.1 100 Continue\r\n\r\n");
      }
      std::string body;
      if (request->find("Content-Length: ") != std::string::npos) {
        auto read = wire.ReadExactly(kBody);
        if (!read.has_value()) return;
        body = *std::move(read);
      }
      const size_t at = request->find("X-Request-Id: ") + 14;
      {
        std::lock_guard lock(mutex_);
        ++done_[request->substr(at, request->find("\r\n", at) - at)];
      }
      if (request->find("Upgrade: x") != std::string::npos) {
        wire.Send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
        while (auto line = wire.ReadUntil("\n")) wire.Send(*line);
        return;
      }
      wire.Send(
          absl::StrCat("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                       body.empty() ? "2\r\nok" : absl::StrCat(absl::Hex(body.size()), "\r\n"),
                       body, "\r\n0\r\n\r\n"));
    }
  }

  std::mutex mutex_;
  std::map<std::string, int> done_;
  TestApp app_;
};

// A client's part. False: what it got is neither whole, nor an error, nor an end.
using Conversation = bool (*)(Wire& client, const std::string& id);

bool IsWhole(const std::optional<Wire::Message>& message, const std::string& body) {
  return message->status() == 200 ? message->body == body : message->status() >= 400;
}

bool AskTwice(Wire& client, const std::string& id) {
  for (int i = 0; i < 2; ++i) {
    const auto response = client.Ask(
        absl::StrCat("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: ", id, "-", i, "\r\n\r\n"));
    if (!response.has_value()) return client.AtEnd();
    if (!IsWhole(response, "ok")) return false;
  }
  return true;
}

bool Upload(Wire& client, const std::string& id) {
  const std::string body(kBody, 'u');
  client.Send(absl::StrCat("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ", kBody,
                           "\r\nExpect: 100-continue\r\nX-Request-Id: ", id, "\r\n\r\n"));
  const auto first = client.ReadUntil("\r\n\r\n");
  if (!first.has_value()) return client.AtEnd();
  if (!first->starts_with("HTTP/1.1 100")) {
    return first->starts_with("HTTP/1.1 50") || first->starts_with("HTTP/1.1 408");
  }
  client.Send(body);
  const auto response = client.ReadMessage();
  return response.has_value() ? IsWhole(response, body) : client.AtEnd();
}

bool Tunnel(Wire& client, const std::string& id) {
  client.Send(absl::StrCat("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n",
                           "X-Request-Id: ", id, "\r\n\r\n"));
  const auto head = client.ReadUntil("\r\n\r\n");
  if (!head.has_value()) return client.AtEnd();
  if (!head->starts_with("HTTP/1.1 101")) return head->starts_with("HTTP/1.1 50");
  for (const char* line : {"one\n", "two\n"}) {
    client.Send(line);
    const auto echo = client.ReadUntil("\n");
    if (!echo.has_value()) return client.AtEnd();
    if (*echo != line) return false;
  }
  client.ShutdownWrite();
  return client.ReadToEnd().empty();
}

struct Scenario {
  const char* name;
  Conversation talk;
  bool once;  // must not be done twice
};

class FaultTest : public testing::TestWithParam<Scenario> {};

TEST_P(FaultTest, EachCallFailsOnce) {
  const Scenario& scenario = GetParam();
  const size_t before = OpenDescriptors();
  {
    CountingApp app;
    TestProxy proxy({.workers = 1,
                     .limits = {.head_timeout = Millis{500},
                                .client_idle_timeout = Millis{500},
                                .stream_idle_timeout = Millis{500}}});
    proxy.connect_timeout = Millis{500};
    int runs = 0;
    for (const Fault fault :
         {Fault::kBroken, Fault::kExhausted, Fault::kInterrupted, Fault::kPartial}) {
      size_t most = SIZE_MAX;
      for (size_t at = 0; at < most; ++at) {
        SCOPED_TRACE(absl::StrCat("fault ", static_cast<int>(fault), " at call ", at));
        proxy.Serve({});  // closes kept connections and forgives all sins
        proxy.Serve({{app.port()}});
        const std::string id = absl::StrCat("r", runs++);
        FailCall(at, fault);
        {
          auto client = proxy.Connect();
          EXPECT_TRUE(scenario.talk(*client, id));
        }
        // The conversation has no more calls than were made: what is left is the same each time.
        if (CallsMade() <= at) most = at;
        FailNoCall();
        EXPECT_TRUE(Eventually([&] { return proxy.InFlight(app.port()) == 0; }));
        EXPECT_TRUE(Eventually([&] { return proxy.plane.Stats().connections_active == 0; }));
        if (scenario.once) {
          EXPECT_LE(app.TimesDone(id), 1);
        }
        const auto response = proxy.Connect()->Ask(kGet);
        ASSERT_TRUE(response.has_value());
        EXPECT_EQ(response->status(), 200);
      }
    }
    EXPECT_GT(runs, 40) << "there were calls to fail";
  }
  EXPECT_TRUE(Eventually([&] { return OpenDescriptors() == before; }));
}

INSTANTIATE_TEST_SUITE_P(Conversations, FaultTest,
                         testing::Values(Scenario{"requests", AskTwice, false},
                                         Scenario{"upload", Upload, true},
                                         Scenario{"tunnel", Tunnel, true}),
                         [](const auto& scenario) { return scenario.param.name; });

}  // namespace
}  // namespace pando::proxy
