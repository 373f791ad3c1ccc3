// One reading or none: what a client or an app sends that somebody else might read differently is
// refused, its connection ends, and nothing of it reaches the other side.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "proxy/net/net_test_support.h"

namespace pando::proxy {
namespace {

using testing::HasSubstr;
using testing::Not;

// What an attacker wants to be taken for a request.
constexpr std::string_view kHidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";

struct Vector {
  std::string name;
  std::string bytes;
  int status = 400;
};

std::string WithZeros(std::string text) {
  for (char& c : text) {
    if (c == '~') c = '\0';
  }
  return text;
}

std::vector<Vector> RefusedHeads() {
  const std::string line = "POST / HTTP/1.1\r\n";
  const std::string host = "Host: a\r\n";
  const std::string post = line + host;
  std::vector<Vector> vectors = {
      {"CL.TE", post + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"},
      {"TE.CL", post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n"},
      {"field before its colon", post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"},
      {"line break in a name", post + "Transfer-Encoding\r\n : chunked\r\n\r\n0\r\n\r\n"},
      {"bare LF hides a field", post + "X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"bare CR hides a field", post + "X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"folded", post + "X: y\r\n Transfer-Encoding: chunked\r\n\r\n"},
      {"folded into the value", post + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"},
      {"folded first", line + " Host: a\r\n\r\n"},
      {"NUL in a value", WithZeros(post + "X: a~b\r\n\r\n")},
      {"NUL in a name", WithZeros(post + "X~: a\r\n\r\n")},
      {"empty name", post + ": a\r\n\r\n"},
      {"no name", post + "chunked\r\n\r\n"},
      {"name in quotes", post + "\"X\": a\r\n\r\n"},
      {"name beyond ASCII", post + "X\xc3\xa4: a\r\n\r\n"},
      {"lines end in LF", "GET / HTTP/1.1\nHost: a\n\n"},
      {"the head ends in LF", post + "\n"},
      {"white space first", " GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"tab first", "\tGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"LF first", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"HTTP/0.9", "GET /\r\n\r\n"},
      {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"TLS greeting", WithZeros("\x16\x03\x01~\xa5\x01~~\xa1\x03\x03")},
      {"coding in HTTP/1.0",
       "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"no host", line + "\r\n"},
      {"two hosts", post + host + "\r\n"},
      {"target names another host", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"target names another port", "GET http://a:81/ HTTP/1.1\r\nHost: a:80\r\n\r\n"},
      {"target with a user", "GET http://b@a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"target without a host", "GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"asterisk", "GET * HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"authority as target", "GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501},
      {"CONNECT of a path", "CONNECT /hidden HTTP/1.1\r\nHost: a\r\n\r\n", 501},
  };
  for (const char* bad : {"xchunked", "chunked, identity", "identity, chunked", "chunked, chunked",
                          ", chunked", "chunked,", "chunked;q=1", "\"chunked\"", "chunked\x0b",
                          "\013chunked", "chunk", "gzip", "cow", ""}) {
    vectors.push_back({absl::StrCat("coding ", bad),
                       absl::StrCat(post, "Transfer-Encoding: ", bad, "\r\n\r\n0\r\n\r\n")});
  }
  vectors.push_back({"a second coding", post + "Transfer-Encoding: chunked\r\n"
                                               "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n"});
  vectors.push_back({"a second chunked", post + "Transfer-Encoding: chunked\r\n"
                                                "Transfer-encoding: chunked\r\n\r\n0\r\n\r\n"});
  for (const char* bad : {"+5", "-5", "5 5", "5,5", "5, 6", "0x5", "5a", "5.0", "5e0", "\"5\"", "",
                          ";5", "5\x0b", "18446744073709551621", "9999999999999999999999"}) {
    vectors.push_back({absl::StrCat("length ", bad),
                       absl::StrCat(post, "Content-Length: ", bad, "\r\n\r\nhello")});
  }
  vectors.push_back({"two lengths", post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"});
  vectors.push_back(
      {"the same length twice", post + "Content-Length: 5\r\ncontent-length: 5\r\n\r\nhello"});
  for (const char* bad : {"", "a b", "a, b", "a/b", "u@a", "a?b", "a#b", "a\\b", "a:80x", "a:-1",
                          "a:80:90", ":80", "a:999999", "a:65536", "[::1", "::1]", "[]", "<a>"}) {
    vectors.push_back({absl::StrCat("host ", bad), absl::StrCat(line, "Host: ", bad, "\r\n\r\n")});
  }
  for (const char* bad : {"/\x01", "/\t", "/a b", "/\x7f", "/#x", "", "a", "\\"}) {
    vectors.push_back(
        {absl::StrCat("target ", bad), absl::StrCat("GET ", bad, " HTTP/1.1\r\n", host, "\r\n")});
  }
  vectors.push_back({"NUL in the target", WithZeros("GET /~ HTTP/1.1\r\n" + host + "\r\n")});
  vectors.push_back({"CR in the target", "GET /\r HTTP/1.1\r\n" + host + "\r\n"});
  for (const char* bad : {"HTTP/1.1 ", "http/1.1", "HTTP/1", "HTTP/1.10", "HTTP/01.1", "HTTP/11",
                          "HTTPS/1.1", "HTTP 1.1", "HTTP/1.x"}) {
    vectors.push_back(
        {absl::StrCat("version ", bad), absl::StrCat("GET / ", bad, "\r\n", host, "\r\n")});
  }
  for (const char* other : {"HTTP/1.2", "HTTP/2.0", "HTTP/3.0", "HTTP/0.9"}) {
    vectors.push_back({absl::StrCat("version ", other),
                       absl::StrCat("GET / ", other, "\r\n", host, "\r\n"), 505});
  }
  for (const char* bad : {"G(T", "GE\tT", "G@T", "\"GET\""}) {
    vectors.push_back(
        {absl::StrCat("method ", bad), absl::StrCat(bad, " / HTTP/1.1\r\n", host, "\r\n")});
  }
  return vectors;
}

TEST(ConformanceTest, AmbiguousHeadsEndTheConnectionAndReachNobody) {
  std::atomic<int> requests{0};
  TestApp app(TestApp::Answering("hello", &requests));
  TestProxy proxy({.workers = 1});
  proxy.Serve({{app.port()}});
  for (const Vector& v : RefusedHeads()) {
    SCOPED_TRACE(v.name);
    auto client = proxy.Connect();
    client->Send(absl::StrCat(v.bytes, std::string(kHidden)));
    const auto response = client->ReadMessage();
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->status(), v.status);
    EXPECT_TRUE(response->Has("Connection: close\r\n"));
    EXPECT_TRUE(client->AtEnd());
  }
  EXPECT_EQ(requests, 0);
  EXPECT_EQ(proxy.plane.Stats().bad_requests_total, RefusedHeads().size());
  EXPECT_EQ(proxy.Connect()->Ask(kGet)->body, "hello");
}

TEST(ConformanceTest, BadChunksEndTheConnectionAndReachNobodyAsARequest) {
  std::atomic<int> requests{0};
  TestApp app(TestApp::Answering("hello", &requests));
  TestProxy proxy({.workers = 1});
  proxy.Serve({{app.port()}});
  const std::string bodies[] = {
      "5 \r\nhello\r\n0\r\n\r\n",
      " 5\r\nhello\r\n0\r\n\r\n",
      "+5\r\nhello\r\n0\r\n\r\n",
      "-5\r\nhello\r\n0\r\n\r\n",
      "0x5\r\nhello\r\n0\r\n\r\n",
      "5_\r\nhello\r\n0\r\n\r\n",
      "G\r\nhello\r\n0\r\n\r\n",
      "\r\nhello\r\n0\r\n\r\n",
      ";x\r\nhello\r\n0\r\n\r\n",
      "5\nhello\r\n0\r\n\r\n",
      "5\r\nhello\n0\r\n\r\n",
      "5\r\nhelloX\r\n0\r\n\r\n",
      "5\r\nhello0\r\n\r\n",
      "5\r\nhello\r\n0\r\n\n",
      "5\rhello\r\n0\r\n\r\n",
      "10000000000000005\r\nhello\r\n0\r\n\r\n",
      "fffffffffffffffb\r\nhello\r\n0\r\n\r\n",
      "5;a\nb\r\nhello\r\n0\r\n\r\n",
      "5;a\rb\r\nhello\r\n0\r\n\r\n",
      WithZeros("5;a~\r\nhello\r\n0\r\n\r\n"),
      "5;a=\"\r\nhello\r\n0\r\n\r\n",
      absl::StrCat("5;", std::string(20'000, 'x'), "\r\nhello\r\n0\r\n\r\n"),
      "0\r\nX\r\n\r\n",
      "0\r\nX : y\r\n\r\n",
      "0\r\n X: y\r\n\r\n",
      "0\r\nX: y\r\n z\r\n\r\n",
      "0\r\nX: y\n\r\n",
      "0\r\nContent-Length: 5\r\n\r\n",
      "0\r\nTransfer-Encoding: chunked\r\n\r\n",
      "0\r\ntransfer_encoding: chunked\r\n\r\n",
      "0\r\nHost: b\r\n\r\n",
      "0\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n",
      "0\r\nConnection: close\r\n\r\n",
      absl::StrCat("0\r\nX: ", std::string(20'000, 'x'), "\r\n\r\n"),
  };
  for (const std::string& body : bodies) {
    SCOPED_TRACE(body.substr(0, 40));
    auto client = proxy.Connect();
    client->Send(absl::StrCat("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                              body, std::string(kHidden)));
    const auto response = client->ReadMessage();
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->status(), 400);
    EXPECT_TRUE(client->AtEnd());
  }
  EXPECT_EQ(requests, 0);
  EXPECT_TRUE(Eventually([&] { return proxy.InFlight(app.port()) == 0; }));
}

TEST(ConformanceTest, BadResponsesBecome502AndAreNotHadAgain) {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  const std::string bad[] = {
      "hello\r\n\r\n",
      "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
      "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n",
      "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n",
      " HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
      "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
      ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
      ok + "Content-Length: +5\r\n\r\nhello",
      ok + "Content-Length: 5, 5\r\n\r\nhello",
      ok + "Content-Length : 5\r\n\r\nhello",
      ok + "Content-Length:\r\n 5\r\n\r\nhello",
      ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      ok + "Transfer-Encoding: identity\r\n\r\nhello",
      ok + "Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n",
      ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
      "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      ok + "X: a\r\n b\r\n\r\n",
      ok + "X: a\rb\r\n\r\n",
      WithZeros(ok + "X: a~b\r\n\r\n"),
      ok + ": a\r\n\r\n",
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
  };
  TestProxy proxy({.workers = 1});
  for (const std::string& bytes : bad) {
    SCOPED_TRACE(bytes);
    TestApp app([&](Wire& wire, int) {
      wire.ReadMessage();
      wire.Send(bytes);
      wire.AtEnd();
    });
    proxy.Serve({{app.port()}});
    auto client = proxy.Connect();
    const auto response = client->Ask(kGet);
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->status(), 502);
    EXPECT_EQ(response->body, "an instance of web failed to answer\n");
    EXPECT_TRUE(Eventually([&] { return proxy.InFlight(app.port()) == 0; }));
  }
}

TEST(ConformanceTest, WhatAnAppSaysUnaskedIsNobodysAnswer) {
  const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst";
  const std::string extra = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
  std::promise<void> answered;
  std::promise<void> noticed;
  TestApp app([&](Wire& wire, int connection) {
    wire.ReadMessage();
    if (connection == 0) {
      wire.Send(answer + extra);  // at once
    } else if (connection == 1) {
      wire.Send(answer);
      answered.get_future().wait();
      wire.Send(extra);  // while the connection is kept for the next request
      wire.AtEnd();
      noticed.set_value();
    } else if (connection == 2) {
      wire.Send("HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\nforged");
    } else {
      wire.Send("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    }
    wire.AtEnd();
  });
  TestProxy proxy({.workers = 1});
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  EXPECT_EQ(client->Ask(kGet)->body, "first");
  EXPECT_EQ(client->Ask(kGet)->body, "first");
  answered.set_value();
  noticed.get_future().wait();
  client->Send(kGet);
  EXPECT_EQ(client->ReadMessage(true)->status(), 304);
  EXPECT_EQ(client->Ask(kGet)->status(), 204);
  EXPECT_EQ(app.connections(), 4);
}

TEST(ConformanceTest, HopByHopFieldsStayOnTheirHop) {
  std::promise<std::string> seen;
  TestApp app([&](Wire& wire, int) {
    seen.set_value(wire.ReadMessage()->head);
    wire.Send(
        "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
        "Proxy-Connection: x\r\nUpgrade: h2c\r\nTE: x\r\nX-Stays: 1\r\nContent-Length: "
        "2\r\n\r\nok");
    wire.AtEnd();
  });
  TestProxy proxy({.workers = 1});
  proxy.Serve({{app.port()}});
  const auto response = proxy.Connect()->Ask(
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Secret, Content-Length, host, x-forwarded-for\r\n"
      "X-Secret: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\nTE: trailers\r\n"
      "Upgrade: websocket\r\nContent-Length: 2\r\nX-Stays: 1\r\nX_Forwarded_For: "
      "6.6.6.6\r\n\r\nhi");
  const std::string head = seen.get_future().get();
  for (const char* gone :
       {"Secret", "Keep-Alive", "Proxy-Connection", "TE:", "Upgrade", "Connection", "6.6.6.6"}) {
    EXPECT_THAT(head, Not(HasSubstr(gone)));
  }
  // Neither its framing nor its host is a message's own to take away.
  EXPECT_THAT(head, HasSubstr("Host: a\r\nContent-Length: 2\r\nX-Stays: 1\r\n"));
  EXPECT_EQ(response->head, "HTTP/1.1 200 OK\r\nX-Stays: 1\r\nContent-Length: 2\r\n\r\n");
}

TEST(ConformanceTest, H2cIsNeverPassedOn) {
  TestApp app([](Wire& wire, int) {
    while (auto request = wire.ReadMessage()) {
      const std::string answer = request->Has("Upgrade") ? "asked" : "not asked";
      wire.Send(
          absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", answer.size(), "\r\n\r\n", answer));
    }
  });
  TestProxy proxy({.workers = 1});
  proxy.Serve({{app.port()}});
  for (const char* protocol : {"h2c", "H2C", "websocket, h2c", "h2c-14", "h2c, websocket"}) {
    SCOPED_TRACE(protocol);
    EXPECT_EQ(proxy.Connect()
                  ->Ask(absl::StrCat("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, "
                                     "HTTP2-Settings\r\nHTTP2-Settings: AA\r\nUpgrade: ",
                                     protocol, "\r\n\r\n"))
                  ->body,
              "not asked");
  }
}

TEST(ConformanceTest, TrailersPassBothWays) {
  std::promise<std::string> seen;
  TestApp app([&](Wire& wire, int) {
    seen.set_value(wire.ReadUntil("X-Sum: 1\r\n\r\n").value_or("no trailer"));
    wire.Send(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 2\r\n\r\n");
    wire.AtEnd();
  });
  TestProxy proxy({.workers = 1});
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  client->Send(
      "POST / HTTP/1.1\r\nHost: a\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
      "2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n");
  EXPECT_THAT(seen.get_future().get(), HasSubstr("\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n"));
  EXPECT_THAT(client->ReadUntil("X-Sum: 2\r\n\r\n").value_or("no trailer"),
              HasSubstr("2\r\nok\r\n0\r\nX-Sum: 2\r\n\r\n"));
}

TEST(ConformanceTest, EndsThatComeTooEarlyAreNoEnds) {
  // HTTP/1.0 clients know the end of a chunked answer by the connection's end alone.
  std::promise<void> read;
  TestApp app([&](Wire& wire, int) {
    wire.ReadMessage();
    wire.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    read.get_future().wait();
  });
  TestProxy proxy({.workers = 1});
  proxy.Serve({{app.port()}});
  auto client = proxy.Connect();
  client->Send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(client->ReadUntil("hello").has_value());
  read.set_value();
  EXPECT_EQ(client->ReadToEnd(), "");
  EXPECT_TRUE(client->WasReset());
}

}  // namespace
}  // namespace pando::proxy
