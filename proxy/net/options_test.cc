// What can be set for a listener or a route: limits, timeouts, who is believed about the way a
// request took, the PROXY protocol.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proxy/net/net_test_support.h"

namespace pando::proxy {
namespace {

using testing::HasSubstr;
using testing::Not;

// Answers with the request's head as it came.
TestApp::Script Echoing() {
  return [](Wire& wire, int) {
    while (auto request = wire.ReadMessage()) {
      wire.Send(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", request->head.size(),
                             "\r\n\r\n", request->head));
    }
  };
}

std::string BodyOf(const std::optional<Wire::Message>& message) {
  return message.has_value() ? message->body : "no answer";
}

TEST(OptionsTest, TellsTheAppTheWayARequestTook) {
  TestApp app(Echoing());
  TestProxy proxy({.workers = 1});
  proxy.Serve({{app.port()}});
  const std::string claims =
      "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n"
      "X-Forwarded-Host: b\r\nForwarded: for=6.6.6.6\r\n\r\n";

  std::string head = BodyOf(proxy.Connect()->Ask(claims));
  EXPECT_THAT(head, HasSubstr("X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n"
                              "X-Forwarded-Host: a\r\n"));
  EXPECT_THAT(head, Not(HasSubstr("6.6.6.6")));

  proxy.http.forward.trusted = {*IpRange::Parse("127.0.0.0/8")};
  proxy.http.forward.rfc7239 = true;
  proxy.Serve({{app.port()}});
  head = BodyOf(proxy.Connect()->Ask(claims));
  EXPECT_THAT(head, HasSubstr("X-Forwarded-For: 6.6.6.6, 127.0.0.1\r\n"
                              "X-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\n"
                              "Forwarded: for=6.6.6.6, for=127.0.0.1;proto=http;host=\"a\"\r\n"));

  proxy.http.forward = {};
  proxy.http.forward.mode = ForwardPolicy::Mode::kAppend;
  proxy.Serve({{app.port()}});
  head = BodyOf(proxy.Connect()->Ask(claims));
  EXPECT_THAT(head, HasSubstr("X-Forwarded-For: 6.6.6.6, 127.0.0.1\r\nX-Forwarded-Proto: http\r\n"
                              "X-Forwarded-Host: a\r\n"));
}

TEST(OptionsTest, NamesRequestsAndStartsTraces) {
  TestApp app(Echoing());
  TestProxy proxy({.workers = 1});
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  const std::string first = BodyOf(client->Ask(kGet));
  const std::string second = BodyOf(client->Ask(kGet));
  const auto line = [](const std::string& head, const std::string& name) {
    const size_t at = head.find("\r\n" + name + ": ");
    return at == std::string::npos ? "" : head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
  };
  for (const char* name : {"X-Request-Id", "traceparent"}) {
    EXPECT_NE(line(first, name), "");
    EXPECT_NE(line(first, name), line(second, name));
  }
  const std::string known =
      "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: r1\r\n"
      "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00\r\n"
      "tracestate: a=b\r\n";
  const std::string kept = BodyOf(client->Ask(known + "\r\n"));
  EXPECT_EQ(line(kept, "X-Request-Id"), "X-Request-Id: r1");
  EXPECT_EQ(line(kept, "traceparent"),
            "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00");
  EXPECT_EQ(line(kept, "tracestate"), "tracestate: a=b");
  // Two of them are none: and a state without its trace means nothing.
  const std::string twice =
      BodyOf(client->Ask(known + "X-Request-Id: r2\r\ntraceparent: 00-x\r\n\r\n"));
  EXPECT_THAT(twice, Not(HasSubstr("r1\r\n")));
  EXPECT_THAT(twice, Not(HasSubstr("4bf92f")));
  EXPECT_THAT(twice, Not(HasSubstr("tracestate")));

  proxy.http.forward.start_traces = false;
  proxy.Serve({{app.port()}});
  EXPECT_THAT(BodyOf(proxy.Connect()->Ask(kGet)), Not(HasSubstr("traceparent")));
}

TEST(OptionsTest, TakesTheClientFromThePROXYHeader) {
  TestApp app(Echoing());
  TestProxy proxy({.workers = 1, .limits = {.head_timeout = Millis{200}}});
  proxy.http.proxy_protocol = true;
  proxy.http.forward.trusted = {*IpRange::Parse("10.0.0.0/8")};
  proxy.Serve({{app.port()}});
  const std::string claim = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n";
  struct Case {
    std::string name;
    std::string header;
    std::string want;
  };
  const Case cases[] = {
      {"v1", "PROXY TCP4 9.8.7.6 127.0.0.1 12345 80\r\n", "9.8.7.6"},
      {"v1, a client that is trusted", "PROXY TCP4 10.0.0.1 127.0.0.1 12345 80\r\n",
       "6.6.6.6, 10.0.0.1"},
      {"v1, IPv6", "PROXY TCP6 2001:db8::7 ::1 12345 80\r\n", "2001:db8::7"},
      {"v2",
       std::string("\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x09\x08\x07\x06\x7f\0\0\1\0\1\0\2", 28),
       "9.8.7.6"},
      {"v2 of the balancer itself", std::string("\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00", 16),
       "127.0.0.1"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    auto whole = proxy.Connect();
    EXPECT_THAT(BodyOf(whole->Ask(c.header + claim)),
                HasSubstr("X-Forwarded-For: " + c.want + "\r\n"));
    EXPECT_THAT(BodyOf(whole->Ask(claim)), HasSubstr("X-Forwarded-For: " + c.want + "\r\n"))
        << "it is the connection's, once and for all";
    auto pieces = proxy.Connect();
    for (char byte : c.header + claim) ASSERT_TRUE(pieces->Send({&byte, 1}));
    EXPECT_THAT(BodyOf(pieces->ReadMessage()), HasSubstr("X-Forwarded-For: " + c.want + "\r\n"));
  }
  for (const std::string& bad : {std::string(kGet), std::string("PROXY TCP4 9.8.7.6 x 1 2\r\n")}) {
    auto client = proxy.Connect();
    client->Send(bad);
    EXPECT_EQ(client->ReadMessage(), std::nullopt);
    EXPECT_TRUE(client->AtEnd());
  }
  EXPECT_EQ(proxy.plane.Stats().bad_requests_total, 2u);
  EXPECT_TRUE(proxy.Connect()->AtEnd()) << "who says nothing is not waited for";
}

TEST(OptionsTest, LimitsHeads) {
  TestApp app(TestApp::Answering("hello"));
  TestProxy proxy({.workers = 1});
  proxy.http.max_request_line_bytes = 100;
  proxy.http.max_head_bytes = 1'000;
  proxy.http.max_fields = 5;
  proxy.Serve({{app.port()}});
  const auto line = [](size_t size) {
    return absl::StrCat("GET /", std::string(size - 16, 'a'), " HTTP/1.1\r\n");
  };
  ASSERT_EQ(line(100).size(), 100u);
  const std::string host = "Host: a\r\n";
  std::string fields;
  for (int i = 0; i < 4; ++i) fields += "X: y\r\n";
  struct Case {
    std::string name;
    std::string bytes;
    int status;
  };
  const Case cases[] = {
      {"the longest line", line(100) + host + "\r\n", 200},
      {"a longer one", line(101) + host + "\r\n", 414},
      {"one without an end", std::string("GET /") + std::string(200, 'a'), 414},
      {"the largest head", line(100) + host + "X: " + std::string(884, 'x') + "\r\n\r\n", 200},
      {"a larger one", line(100) + host + "X: " + std::string(885, 'x') + "\r\n\r\n", 431},
      {"one without an end", line(100) + host + "X: " + std::string(2'000, 'x'), 431},
      {"the most fields", line(100) + host + fields + "\r\n", 200},
      {"one more", line(100) + host + fields + "X: y\r\n\r\n", 431},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    auto client = proxy.Connect();
    client->Send(c.bytes);
    EXPECT_EQ(client->ReadMessage().value_or(Wire::Message{}).status(), c.status);
  }
  // Of the listener, and of the next connection: nothing is restarted for it.
  proxy.http = {};
  proxy.Serve({{app.port()}});
  EXPECT_EQ(proxy.Connect()->Ask(line(5'000) + host + "\r\n")->status(), 200);
}

TEST(OptionsTest, LimitsBodies) {
  std::atomic<int> answered{0};
  TestApp app(TestApp::Answering("hello", &answered));
  TestProxy proxy({.workers = 1});
  proxy.limits.max_body_bytes = 10;
  proxy.Serve({{app.port()}});
  const std::string post = "POST / HTTP/1.1\r\nHost: a\r\n";
  const std::string chunked = post + "Transfer-Encoding: chunked\r\n\r\n";
  struct Case {
    std::string name;
    std::string bytes;
    int status;
  };
  const Case cases[] = {
      {"length", post + "Content-Length: 10\r\n\r\n0123456789", 200},
      {"a length too much", post + "Content-Length: 11\r\n\r\n", 413},
      {"a length that is waited for", post + "Content-Length: 11\r\nExpect: 100-continue\r\n\r\n",
       413},
      {"chunks", chunked + "5\r\n01234\r\n5;x=y\r\n01234\r\n0\r\n\r\n", 200},
      {"small chunks are no larger", chunked + "1\r\n0\r\n1\r\n0\r\n1\r\n0\r\n1\r\n0\r\n0\r\n\r\n",
       200},
      {"a chunk too much", chunked + "5\r\n01234\r\n6\r\n012345\r\n0\r\n\r\n", 413},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    auto client = proxy.Connect();
    client->Send(c.bytes);
    auto response = client->ReadMessage();
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->status(), c.status);
    // Unless all of it has come, there is no next request to be found.
    EXPECT_EQ(response->Has("Connection: close"), c.name.starts_with("a length")) << response->head;
  }
  EXPECT_EQ(answered, 3);

  // Found out only when the app is at it already.
  auto client = proxy.Connect();
  client->Send(chunked + "5\r\n01234\r\n");
  ASSERT_TRUE(Eventually([&] { return proxy.InFlight(app.port()) == 1; }));
  client->Send("6\r\n012345\r\n0\r\n\r\n");
  auto response = client->ReadMessage();
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->status(), 413);
  EXPECT_EQ(response->body, "the request's body is larger than 10 bytes\n");
  EXPECT_EQ(answered, 3) << "a body cut short is no request";
  EXPECT_TRUE(Eventually([&] { return proxy.InFlight(app.port()) == 0; }));
}

TEST(OptionsTest, ListenersHaveTheirOwnPatience) {
  TestApp app([](Wire& wire, int) {
    while (auto request = wire.ReadMessage()) {
      if (request->Has("/silent")) {
        wire.AtEnd();
        return;
      }
      if (request->Has("/whole")) {
        wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        continue;
      }
      wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
      wire.AtEnd();
    }
  });
  TestProxy proxy({.workers = 1});  // whose own defaults are too long for any test
  proxy.http.head_timeout = Millis{50};
  proxy.Serve({{app.port()}});
  auto slow = proxy.Connect();
  slow->Send("GET / HTTP/1.1\r\n");
  EXPECT_EQ(slow->ReadMessage().value_or(Wire::Message{}).status(), 408);
  EXPECT_TRUE(slow->AtEnd());

  proxy.http = {};
  proxy.http.client_idle_timeout = Millis{50};
  proxy.Serve({{app.port()}});
  auto idle = proxy.Connect();
  EXPECT_EQ(idle->Ask("GET /whole HTTP/1.1\r\nHost: a\r\n\r\n")->status(), 200);
  EXPECT_TRUE(idle->AtEnd());

  proxy.http = {};
  proxy.http.stream_idle_timeout = Millis{50};
  proxy.Serve({{app.port()}});
  EXPECT_EQ(proxy.Connect()->Ask("GET /silent HTTP/1.1\r\nHost: a\r\n\r\n")->status(), 504);
  auto cut = proxy.Connect();
  cut->Send(kGet);
  EXPECT_TRUE(cut->ReadUntil("half").has_value());
  EXPECT_TRUE(cut->AtEnd());
  EXPECT_TRUE(Eventually([&] { return proxy.InFlight(app.port()) == 0; }));
}

TEST(OptionsTest, RoutesBoundTheWholeOfAResponse) {
  std::promise<void> end;
  std::shared_future<void> ended = end.get_future().share();
  TestApp app([&](Wire& wire, int) {
    while (auto request = wire.ReadMessage()) {
      if (request->Has("/silent")) {
        wire.AtEnd();
        return;
      }
      // Never silent for long, but never done either.
      wire.Send("HTTP/1.1 200 OK\r\n\r\n");
      while (wire.Send("x") && ended.wait_for(Millis{5}) == std::future_status::timeout) {
      }
    }
  });
  TestProxy proxy({.workers = 1});
  proxy.limits.total_timeout = Millis{100};
  proxy.Serve({{app.port()}});
  auto response = proxy.Connect()->Ask("GET /silent HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(response->status(), 504);
  EXPECT_EQ(response->body, "an instance of web did not answer in time\n");

  auto client = proxy.Connect();
  client->Send(kGet);
  EXPECT_TRUE(client->ReadUntil("\r\n\r\nx").has_value());
  client->ReadToEnd();
  EXPECT_TRUE(client->WasReset()) << "an end that came too early must not look like the end";

  // The time a client takes to send its request is not counted.
  auto upload = proxy.Connect();
  upload->Send("POST /silent HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
  EXPECT_EQ(ended.wait_for(Millis{150}), std::future_status::timeout);
  const auto sent = std::chrono::steady_clock::now();
  upload->Send("cd");
  EXPECT_EQ(upload->ReadMessage()->status(), 504);
  EXPECT_GE(std::chrono::steady_clock::now() - sent, Millis{90});
  end.set_value();
  EXPECT_TRUE(Eventually([&] { return proxy.InFlight(app.port()) == 0; }));
}

}  // namespace
}  // namespace pando::proxy
