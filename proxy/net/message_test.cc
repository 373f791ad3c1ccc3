// What passes through: framing, streaming, interim responses, tunnels, refusals.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <string>

#include "absl/strings/str_cat.h"
#include "proxy/net/net_test_support.h"

namespace pando::proxy {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(MessageTest, KeepsConnectionsOnBothSides) {
  TestApp app(TestApp::Answering("hello"));
  TestProxy proxy({.workers = 1});
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  for (int i = 0; i < 50; ++i) {
    auto response = client->Ask(kGet);
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->status(), 200);
    EXPECT_EQ(response->body, "hello");
    EXPECT_THAT(response->head, Not(HasSubstr("Connection:")));
  }
  EXPECT_EQ(app.connections(), 1);
  ASSERT_TRUE(Eventually([&] { return proxy.Stats().requests_total == 50; }));
  const ClusterStats stats = proxy.Stats();
  EXPECT_EQ(stats.requests_total, 50u);
  EXPECT_EQ(stats.responses_by_class[2], 50u);
  EXPECT_EQ(stats.connects_total, 1u);
  EXPECT_EQ(stats.timing.total.count(), 50u);
  EXPECT_EQ(stats.timing.total.buckets.size(), LatencyBounds().size() + 1);
  EXPECT_EQ(proxy.plane.Stats().connections_active, 1u);
  EXPECT_EQ(proxy.InFlight(app.port()), 0u);
}

TEST(MessageTest, AnswersPipelinedRequestsInOrder) {
  TestApp app([](Wire& wire, int) {
    while (auto request = wire.ReadMessage()) {
      const std::string path = request->head.substr(0, request->head.find(" HTTP"));
      const std::string body = path + request->body;
      wire.Send(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", body.size(), "\r\n\r\n", body));
    }
  });
  TestProxy proxy;
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  std::string burst;
  for (int i = 0; i < 40; ++i) {
    burst += absl::StrCat("GET /", i, " HTTP/1.1\r\nHost: a\r\n\r\n");
    burst += absl::StrCat("POST /", i, " HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\r\n");
  }
  ASSERT_TRUE(client->Send(burst));
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(client->ReadMessage().value_or(Wire::Message{}).body, absl::StrCat("GET /", i));
    EXPECT_EQ(client->ReadMessage().value_or(Wire::Message{}).body,
              absl::StrCat("POST /", i, "abc"));
  }
}

TEST(MessageTest, TakesRequestsByteByByte) {
  TestApp app([](Wire& wire, int) {
    while (auto request = wire.ReadMessage()) {
      wire.Send(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", request->body.size(),
                             "\r\n\r\n", request->body));
    }
  });
  TestProxy proxy;
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  const std::string request =
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: "
      "1\r\n\r\n";
  for (char byte : request) ASSERT_TRUE(client->Send({&byte, 1}));
  EXPECT_EQ(client->ReadMessage().value_or(Wire::Message{}).body, "abc");
}

TEST(MessageTest, ForwardsWhatTheAppNeedsToKnow) {
  std::promise<std::string> seen;
  TestApp app([&](Wire& wire, int) {
    seen.set_value(wire.ReadMessage()->head);
    wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    wire.AtEnd();
  });
  TestProxy proxy;
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  client->Ask(
      "GET /x?y HTTP/1.1\r\nHost: www.a:80\r\nX-Forwarded-For: 9.9.9.9\r\nX-Request-Id: r1\r\n"
      "\r\n");
  EXPECT_THAT(seen.get_future().get(),
              testing::MatchesRegex(
                  "GET /x\\?y HTTP/1.1\r\nHost: www.a:80\r\nX-Forwarded-For: 127.0.0.1\r\n"
                  "X-Forwarded-Proto: http\r\nX-Forwarded-Host: www.a:80\r\nX-Request-Id: r1\r\n"
                  "traceparent: 00-[0-9a-f]+-[0-9a-f]+-01\r\n\r\n"));
}

TEST(MessageTest, RelaysEveryKindOfResponse) {
  TestApp app([](Wire& wire, int) {
    while (auto request = wire.ReadMessage()) {
      if (request->Has("/chunked")) {
        wire.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        wire.Send("6;x=y\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n");
      } else if (request->Has("/204")) {
        wire.Send("HTTP/1.1 204 No Content\r\n\r\n");
      } else if (request->Has("/304")) {
        wire.Send("HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n");
      } else if (request->Has("HEAD ")) {
        wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
      } else {
        wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast");
      }
    }
  });
  TestProxy proxy;
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  const std::string end = " HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_EQ(client->Ask("GET /chunked" + end)->body, "hello world");
  EXPECT_EQ(client->Ask("GET /204" + end)->status(), 204);
  client->Send("GET /304" + end);
  EXPECT_TRUE(client->ReadMessage(true)->Has("Content-Length: 10"));
  client->Send("HEAD /" + end);
  EXPECT_TRUE(client->ReadMessage(true)->Has("Content-Length: 10"));
  EXPECT_EQ(client->Ask("GET /" + end)->body, "last");
  EXPECT_EQ(app.connections(), 1);
}

TEST(MessageTest, SpeaksHttp10WithOldClients) {
  TestApp app([](Wire& wire, int) {
    while (auto request = wire.ReadMessage()) {
      if (request->Has("/chunked")) {
        wire.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        wire.Send("6\r\n world\r\n0\r\n\r\n");
      } else {
        wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      }
    }
  });
  TestProxy proxy;
  proxy.Serve({{app.port()}});
  auto kept = proxy.Connect();
  for (int i = 0; i < 2; ++i) {
    auto response = kept->Ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_EQ(response->body, "ok");
    EXPECT_TRUE(response->Has("Connection: keep-alive"));
  }
  auto client = proxy.Connect();
  client->Send("GET /chunked HTTP/1.0\r\n\r\n");
  EXPECT_THAT(client->ReadToEnd(), testing::EndsWith("Connection: close\r\n\r\nhello world"));
}

TEST(MessageTest, ResponseUntilCloseEndsTheClientsConnectionToo) {
  TestApp app([](Wire& wire, int) {
    wire.ReadMessage();
    wire.Send("HTTP/1.1 200 OK\r\n\r\nall there is");
  });
  TestProxy proxy;
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  client->Send(kGet);
  EXPECT_EQ(client->ReadToEnd(), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall there is");
  EXPECT_FALSE(client->WasReset());
}

TEST(MessageTest, CutShortResponsesLookCutShort) {
  std::promise<void> read;
  TestApp app([&read](Wire& wire, int) {
    auto request = wire.ReadMessage();
    if (request->Has("/chunked")) {
      wire.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    } else if (request->Has("/length")) {
      wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
    } else {
      wire.Send("HTTP/1.1 200 OK\r\n\r\nhello");
      read.get_future().wait();
      wire.Reset();
    }
  });
  TestProxy proxy;
  proxy.Serve({{app.port()}});
  for (const char* path : {"/chunked", "/length"}) {
    auto client = proxy.Connect();
    client->Send(absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: a\r\n\r\n"));
    EXPECT_EQ(client->ReadMessage(), std::nullopt);
  }
  auto client = proxy.Connect();
  client->Send(kGet);
  EXPECT_TRUE(client->ReadUntil("hello").has_value());
  read.set_value();
  EXPECT_EQ(client->ReadToEnd(), "");
  EXPECT_TRUE(client->WasReset()) << "where only the close marks the end, it must not be clean";
  EXPECT_TRUE(Eventually([&] { return proxy.Stats().cut_responses_total == 3; }));
}

TEST(MessageTest, RelaysInterimResponses) {
  TestApp app([](Wire& wire, int) {
    while (auto head = wire.ReadUntil("\r\n\r\n")) {
      if (head->find("Expect: 100-continue") != std::string::npos) {
        wire.Send("HTTP/1.1 100 Continue\r\n\r\n");
        wire.ReadExactly(4);
      }
      wire.Send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\n");
      wire.Send("Content-Length: 4\r\n\r\ndone");
    }
  });
  TestProxy proxy;
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  client->Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client->ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client->Send("body");
  EXPECT_EQ(client->ReadUntil("\r\n\r\n"), "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
  EXPECT_EQ(client->ReadMessage()->body, "done");
  client->Send(kGet);  // the connection goes on
  EXPECT_TRUE(client->ReadUntil("\r\n\r\n")->starts_with("HTTP/1.1 103"));
  EXPECT_EQ(client->ReadMessage()->body, "done");
  auto old = proxy.Connect();
  EXPECT_EQ(old->Ask("GET / HTTP/1.0\r\n\r\n")->status(), 200);
}

TEST(MessageTest, EarlyResponseEndsAnUnfinishedRequest) {
  TestApp app([](Wire& wire, int) {
    wire.ReadUntil("\r\n\r\n");
    wire.Send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig");
    wire.Discard(SIZE_MAX);
  });
  TestProxy proxy;
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  client->Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc");
  auto response = client->ReadMessage();
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->status(), 413);
  EXPECT_TRUE(response->Has("Connection: close"));
  client->Send(std::string(500'000, 'x'));  // goes nowhere, and does not lose the response
  EXPECT_TRUE(client->AtEnd());
  EXPECT_TRUE(Eventually([&] { return proxy.InFlight(app.port()) == 0; }));
}

TEST(MessageTest, HalfClosedClientsAreAnswered) {
  TestApp app(TestApp::Answering("hello"));
  TestProxy proxy;
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  client->Send(kGet);
  client->ShutdownWrite();
  EXPECT_THAT(client->ReadToEnd(), testing::EndsWith("hello"));
}

TEST(MessageTest, LargeBodiesPassBothWaysInBoundedMemory) {
#ifdef PANDO_SANITIZED
  constexpr size_t kBytes = 8 << 20;
#else
  constexpr size_t kBytes = 256 << 20;
#endif
  constexpr size_t kPiece = 256 << 10;
  const std::string piece(kPiece, 'd');
  TestApp app([&](Wire& wire, int) {
    while (auto head = wire.ReadUntil("\r\n\r\n")) {
      const auto size = static_cast<size_t>(std::atoll(head->c_str() + head->find("Length: ") + 8));
      if (wire.Discard(size) != size) return;
      wire.Send(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", size, "\r\n\r\n"));
      for (size_t sent = 0; sent < size; sent += kPiece) wire.Send(piece);
    }
  });
  TestProxy proxy({.workers = 1});
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  size_t most = 0;
  const auto transfer = [&](size_t size) {
    client->Send(absl::StrCat("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ", size, "\r\n\r\n"));
    for (size_t sent = 0; sent < size; sent += kPiece) {
      ASSERT_TRUE(client->Send(piece));
      most = std::max(most, ResidentBytes());
    }
    ASSERT_TRUE(client->ReadUntil("\r\n\r\n").has_value());
    for (size_t got = 0; got < size; got += kPiece) {
      ASSERT_EQ(client->Discard(kPiece), kPiece);
      most = std::max(most, ResidentBytes());
    }
  };
  transfer(kPiece);  // whatever is needed once, on all three sides
  const size_t before = ResidentBytes();
  most = before;
  transfer(kBytes);
#ifndef PANDO_SANITIZED
  EXPECT_LT(most - before, size_t{1} << 20) << "of one connection, and of both its peers";
#endif
}

TEST(MessageTest, EventsPassOnAsTheyCome) {
  std::vector<std::promise<void>> received(20);
  TestApp app([&](Wire& wire, int) {
    wire.ReadMessage();
    wire.Send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
    for (size_t i = 0; i < received.size(); ++i) {
      wire.Send(absl::StrCat("data: ", i, "\n\n"));
      // The next one is sent only once this one is there: nothing is kept to be sent with it.
      received[i].get_future().wait();
    }
  });
  TestProxy proxy({.workers = 1});
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  client->Send(kGet);
  EXPECT_THAT(client->ReadUntil("\r\n\r\n").value_or(""), HasSubstr("text/event-stream"));
  for (size_t i = 0; i < received.size(); ++i) {
    EXPECT_EQ(client->ReadUntil("\n\n"), absl::StrCat("data: ", i, "\n\n"));
    received[i].set_value();
  }
  EXPECT_TRUE(client->AtEnd());
}

TEST(MessageTest, ResponsesMayBeginBeforeTheirRequestsEnd) {
  TestApp app([](Wire& wire, int) {
    wire.ReadUntil("\r\n\r\n");
    wire.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    while (auto line = wire.ReadUntil("\n")) {
      if (*line == "end\n") break;
      wire.Send(absl::StrCat(absl::Hex(line->size()), "\r\n", *line, "\r\n"));
    }
    wire.Send("0\r\n\r\n");
    wire.AtEnd();
  });
  TestProxy proxy({.workers = 1});
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  client->Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 13\r\n\r\n");
  EXPECT_TRUE(client->ReadUntil("\r\n\r\n").has_value());
  client->Send("ping\n");
  EXPECT_EQ(client->ReadUntil("ping\n\r\n"), "5\r\nping\n\r\n");
  client->Send("two\n");
  EXPECT_EQ(client->ReadUntil("two\n\r\n"), "4\r\ntwo\n\r\n");
  client->Send("end\n");
  EXPECT_EQ(client->ReadUntil("0\r\n\r\n"), "0\r\n\r\n");
}

TEST(MessageTest, SlowReadersHoldTheAppBack) {
  std::atomic<size_t> written{0};
  TestApp app([&](Wire& wire, int) {
    wire.ReadMessage();
    wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
    const std::string chunk(100'000, 'd');
    for (int i = 0; i < 1'000 && wire.Send(chunk); ++i) written += chunk.size();
  });
  TestProxy proxy({.workers = 1, .limits = {.stream_idle_timeout = Millis{500}}});
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  client->Send(kGet);  // and then never reads
  ASSERT_TRUE(Eventually([&] { return written > 0; }));
  // The proxy gives up on both; neither its own memory nor the app's time is taken for ever.
  EXPECT_TRUE(Eventually([&] { return proxy.InFlight(app.port()) == 0; }));
  EXPECT_LT(written, 100'000'000u);
  EXPECT_TRUE(Eventually([&] { return proxy.plane.Stats().connections_active == 0; }));
  EXPECT_EQ(proxy.plane.Stats().slow_clients_total, 1u);
  // Whoever reads is served.
  TestApp quick(TestApp::Answering("quick"));
  proxy.Serve({{quick.port()}});
  EXPECT_EQ(proxy.Connect()->Ask(kGet)->body, "quick");
}

TEST(MessageTest, AppsThatStopReadingHoldTheClientBack) {
  std::promise<void> end;
  TestApp app([&](Wire& wire, int) {
    wire.ReadUntil("\r\n\r\n");
    end.get_future().wait();  // and reads nothing of the body
  });
  TestProxy proxy({.workers = 1, .limits = {.stream_idle_timeout = Millis{300}}});
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  client->Send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n");
  const std::string piece(1 << 20, 'u');
  const size_t before = ResidentBytes();
  size_t most = before;
  // More than the sockets between them hold: the last piece goes only when the proxy gives up.
  for (int i = 0; i < 40 && client->Send(piece); ++i) most = std::max(most, ResidentBytes());
#ifndef PANDO_SANITIZED
  EXPECT_LT(most - before, size_t{8} << 20);
#endif
  const auto response = client->ReadMessage();
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->status(), 504);
  EXPECT_TRUE(Eventually([&] { return proxy.InFlight(app.port()) == 0; }));
  end.set_value();
}

TEST(MessageTest, TunnelsOutliveTableChanges) {
  TestApp app([](Wire& wire, int) {
    auto request = wire.ReadMessage();
    if (!request->Has("Connection: Upgrade\r\nUpgrade: websocket\r\n")) return;
    wire.Send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "\r\nwelcome");
    while (auto line = wire.ReadUntil("\n")) wire.Send("echo " + *line);
    wire.Send("goodbye");
  });
  TestApp other(TestApp::Answering("other"));
  std::atomic<int> drained{0};
  TestProxy proxy({}, [&] { ++drained; });
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  client->Send(
      "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly\n");
  EXPECT_TRUE(client->ReadUntil("\r\n\r\n")->starts_with("HTTP/1.1 101"));
  EXPECT_EQ(client->ReadUntil("\n"), "welcomeecho early\n");
  EXPECT_EQ(proxy.InFlight(app.port()), 1u);

  proxy.Serve({{app.port(), EndpointHealth::kDraining}, {other.port()}});
  client->Send("one\n");
  EXPECT_EQ(client->ReadUntil("\n"), "echo one\n");
  proxy.Serve({{other.port()}});
  client->Send("two\n");
  EXPECT_EQ(client->ReadUntil("\n"), "echo two\n");
  EXPECT_EQ(proxy.Connect()->Ask(kGet)->body, "other");
  EXPECT_EQ(proxy.InFlight(app.port()), 1u);
  EXPECT_EQ(drained, 0);

  client->ShutdownWrite();  // half-close passes through
  EXPECT_EQ(client->ReadToEnd(), "goodbye");
  EXPECT_TRUE(Eventually([&] { return drained > 0; }));
  EXPECT_EQ(proxy.InFlight(app.port()), 0u);
}

TEST(MessageTest, UpgradeMayBeDeclined) {
  TestApp app(TestApp::Answering("no"));
  TestProxy proxy;
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(client
                  ->Ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                        "Upgrade: websocket\r\n\r\n")
                  ->body,
              "no");
  }
}

TEST(MessageTest, RefusesWithTheRightStatusAndCloses) {
  TestApp app(TestApp::Answering("hello"));
  TestProxy proxy({.workers = 1, .limits = {.max_head_bytes = 4096}});
  proxy.Serve({{app.port()}});
  struct Case {
    std::string bytes;
    int status;
  };
  const std::string get = "GET / HTTP/1.1\r\nHost: a\r\n";
  const Case cases[] = {
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1\nHost: a\n\n", 400},
      {get + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"GET /" + std::string(10'000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
      {get + "X: " + std::string(10'000, 'a') + "\r\n\r\n", 431},
      {"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 501},
      {"\x16\x03\x01", 400},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.bytes.substr(0, 80));
    auto client = proxy.Connect();
    client->Send(c.bytes);
    auto response = client->ReadMessage();
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->status(), c.status);
    EXPECT_TRUE(response->Has("Connection: close"));
    EXPECT_TRUE(response->Has("Content-Type: text/plain"));
    EXPECT_TRUE(client->AtEnd());
  }
  EXPECT_EQ(proxy.plane.Stats().bad_requests_total, std::size(cases));
  EXPECT_EQ(app.connections(), 0);
}

TEST(MessageTest, BadChunksLaterInABodyReachNobodyAsARequest) {
  std::promise<void> begun;
  std::promise<bool> ended;
  TestApp app([&](Wire& wire, int) {
    wire.ReadUntil("abc");
    begun.set_value();
    ended.set_value(wire.AtEnd() || wire.ReadToEnd().find("GET") == std::string::npos);
  });
  TestProxy proxy;
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  client->Send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  begun.get_future().wait();
  client->Send("zz\r\nGET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(client->ReadMessage()->status(), 400);
  EXPECT_TRUE(ended.get_future().get());
}

}  // namespace
}  // namespace pando::proxy
