#include "proxy/core/h1_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace pando::proxy {
namespace {

// As a session does it: find the head, then parse it. 0: fine; -1: needs more bytes.
int RequestStatus(std::string_view bytes, RequestHead& head) {
  HeadScanner scanner;
  switch (scanner.Scan(bytes)) {
    case HeadScanner::Result::kBad:
      return 400;
    case HeadScanner::Result::kIncomplete:
      return -1;
    case HeadScanner::Result::kComplete:
      break;
  }
  return ParseRequestHead(bytes.substr(0, scanner.size()), head).status;
}

int RequestStatus(std::string_view bytes) {
  RequestHead head;
  return RequestStatus(bytes, head);
}

int ResponseStatus(std::string_view bytes, Method method, ResponseHead& head) {
  HeadScanner scanner;
  switch (scanner.Scan(bytes)) {
    case HeadScanner::Result::kBad:
      return 502;
    case HeadScanner::Result::kIncomplete:
      return -1;
    case HeadScanner::Result::kComplete:
      break;
  }
  return ParseResponseHead(bytes.substr(0, scanner.size()), method, head).status;
}

TEST(H1ParserTest, ReadsARequest) {
  RequestHead head;
  ASSERT_EQ(RequestStatus("POST /a/b?c=d HTTP/1.1\r\n"
                          "Host: example.com:8080\r\n"
                          "content-length:  12 \r\n"
                          "X-Empty:\r\n"
                          "Connection: keep-alive, X-Secret\r\n"
                          "X-Secret: 1\r\n\r\nignored",
                          head),
            0);
  EXPECT_EQ(head.method, Method::kPost);
  EXPECT_EQ(head.target, "/a/b?c=d");
  EXPECT_EQ(head.host, "example.com:8080");
  EXPECT_EQ(head.body, BodyKind::kLength);
  EXPECT_EQ(head.content_length, 12u);
  EXPECT_TRUE(head.keep_alive);
  ASSERT_EQ(head.fields.size(), 5u);
  EXPECT_EQ(head.fields[2].value, "");
  EXPECT_TRUE(head.fields[3].hop_by_hop);
  EXPECT_TRUE(head.fields[4].hop_by_hop) << "named by Connection";
  EXPECT_FALSE(head.fields[0].hop_by_hop);
}

TEST(H1ParserTest, RefusesWhatHasMoreThanOneReading) {
  struct Case {
    std::string name;
    std::string bytes;
    int want = 400;
  };
  const std::string line = "GET / HTTP/1.1\r\n";
  const std::string host = "Host: a\r\n";
  const Case cases[] = {
      {"bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n"},
      {"bare LF after a field", line + "Host: a\n\r\n"},
      {"bare LF as the end", line + host + "\n"},
      {"bare CR in a value", line + host + "X: a\rb\r\n\r\n"},
      {"bare CR before a field", line + host + "\rX: a\r\n\r\n"},
      {"NUL in a value", line + host + std::string("X: a\0b\r\n\r\n", 10)},
      {"NUL in a name", line + host + std::string("X\0: a\r\n\r\n", 9)},
      {"folded line", line + host + "X: a\r\n b\r\n\r\n"},
      {"folded line with a tab", line + host + "X: a\r\n\tb\r\n\r\n"},
      {"space before the colon", line + host + "X : a\r\n\r\n"},
      {"space before the first field", line + " Host: a\r\n\r\n"},
      {"no colon", line + host + "X\r\n\r\n"},
      {"empty name", line + host + ": a\r\n\r\n"},
      {"length and coding",
       line + host + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {"coding and length",
       line + host + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"},
      {"two lengths", line + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n"},
      {"equal lengths", line + host + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"},
      {"list of lengths", line + host + "Content-Length: 1, 1\r\n\r\n"},
      {"signed length", line + host + "Content-Length: +1\r\n\r\n"},
      {"negative length", line + host + "Content-Length: -1\r\n\r\n"},
      {"hexadecimal length", line + host + "Content-Length: 0x1\r\n\r\n"},
      {"empty length", line + host + "Content-Length:\r\n\r\n"},
      {"huge length", line + host + "Content-Length: 99999999999999999999\r\n\r\n"},
      {"length with a space", line + host + "Content-Length: 1 2\r\n\r\n"},
      {"unknown coding", line + host + "Transfer-Encoding: gzip\r\n\r\n"},
      {"chunked not final", line + host + "Transfer-Encoding: chunked, gzip\r\n\r\n"},
      {"coding before chunked", line + host + "Transfer-Encoding: gzip, chunked\r\n\r\n"},
      {"identity", line + host + "Transfer-Encoding: identity\r\n\r\n"},
      {"quoted coding", line + host + "Transfer-Encoding: \"chunked\"\r\n\r\n"},
      {"hidden coding", line + host +
                            "Transfer-Encoding: \x0b"
                            "chunked\r\n\r\n"},
      {"chunked twice",
       line + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {"empty coding", line + host + "Transfer-Encoding:\r\n\r\n"},
      {"coding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {"Connection that is no list", line + host + "Connection: close; x\r\n\r\n"},
      {"Proxy-Connection that is no list", line + host + "Proxy-Connection: \"\r\n\r\n"},
      {"no host", line + "\r\n"},
      {"two hosts", line + host + host + "\r\n"},
      {"empty host", line + "Host:\r\n\r\n"},
      {"host with a path", line + "Host: a/b\r\n\r\n"},
      {"host with user", line + "Host: u@a\r\n\r\n"},
      {"list of hosts", line + "Host: a, b\r\n\r\n"},
      {"host with a bad port", line + "Host: a:80x\r\n\r\n"},
      {"host with two ports", line + "Host: a:80:90\r\n\r\n"},
      {"control character in the target", "GET /\x01 HTTP/1.1\r\n" + host + "\r\n"},
      {"tab in the target", "GET /\ta HTTP/1.1\r\n" + host + "\r\n"},
      {"space in the target", "GET /a b HTTP/1.1\r\n" + host + "\r\n"},
      {"DEL in the target", "GET /\x7f HTTP/1.1\r\n" + host + "\r\n"},
      {"fragment in the target", "GET /a#b HTTP/1.1\r\n" + host + "\r\n"},
      {"two spaces", "GET  / HTTP/1.1\r\n" + host + "\r\n"},
      {"no target", "GET HTTP/1.1\r\n" + host + "\r\n"},
      {"relative target", "GET a HTTP/1.1\r\n" + host + "\r\n"},
      {"asterisk with GET", "GET * HTTP/1.1\r\n" + host + "\r\n"},
      {"unknown scheme", "GET ftp://a/ HTTP/1.1\r\n" + host + "\r\n"},
      {"disagreeing hosts", "GET http://b/ HTTP/1.1\r\n" + host + "\r\n"},
      {"user in the target", "GET http://u@a/ HTTP/1.1\r\n" + host + "\r\n"},
      {"bad method", "G(T / HTTP/1.1\r\n" + host + "\r\n"},
      {"HTTP/0.9", "GET /\r\n\r\n"},
      {"trailing space", "GET / HTTP/1.1 \r\n" + host + "\r\n"},
      {"lower-case version", "GET / http/1.1\r\n" + host + "\r\n"},
      {"no version number", "GET / HTTP/1\r\n" + host + "\r\n"},
      {"TLS greeting", std::string("\x16\x03\x01\x02", 4)},
      {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"HTTP/1.2", "GET / HTTP/1.2\r\n" + host + "\r\n", 505},
      {"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(RequestStatus(c.bytes), c.want);
  }
}

TEST(H1ParserTest, RefusesTooManyFields) {
  std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 300; ++i) bytes += "X: y\r\n";
  EXPECT_EQ(RequestStatus(bytes + "\r\n"), 431);
}

TEST(H1ParserTest, AcceptsWhatIsUnusualButClear) {
  struct Case {
    std::string name;
    std::string bytes;
    std::string target;
    std::string host;
  };
  const Case cases[] = {
      {"absolute form", "GET http://A.com/x?y HTTP/1.1\r\nHost: a.com\r\n\r\n", "/x?y", "A.com"},
      {"absolute form without a path", "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", "/", "a"},
      {"asterisk form", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "*", "a"},
      {"HTTP/1.0 without a host", "GET / HTTP/1.0\r\n\r\n", "/", ""},
      {"IPv6 host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "/", "[::1]:80"},
      {"bytes beyond ASCII", "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\nX: \xe4\r\n\r\n", "/\xc3\xa4",
       "a"},
      {"own method", "BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", "/pot", "a"},
      {"tab in a value", "GET / HTTP/1.1\r\nHost: a\r\nX:\ta\tb\t\r\n\r\n", "/", "a"},
      {"Connection naming Host", "GET / HTTP/1.1\r\nHost: a\r\nConnection: host\r\n\r\n", "/", "a"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    RequestHead head;
    ASSERT_EQ(RequestStatus(c.bytes, head), 0);
    EXPECT_EQ(head.target, c.target);
    EXPECT_EQ(head.host, c.host);
    for (const HeaderField& field : head.fields) {
      EXPECT_FALSE(field.id == FieldId::kHost && field.hop_by_hop);
    }
  }
}

TEST(H1ParserTest, OtherFieldsMaySayWhatConnectionMayNot) {
  EXPECT_EQ(RequestStatus("GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: Mozilla/5.0 (X11; Linux)\r\n"
                          "Forwarded: for=\"[::1]:80\"\r\nAccept: text/html, */*;q=0.8\r\n\r\n"),
            0);
  ResponseHead head;
  EXPECT_EQ(
      ResponseStatus("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n", Method::kGet, head), 0);
}

TEST(H1ParserTest, ReadsTheConnectionsWishes) {
  struct Case {
    std::string bytes;
    bool keep_alive;
    bool upgrade;
  };
  const Case cases[] = {
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true, false},
      {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n", false, false},
      {"GET / HTTP/1.0\r\nHost: a\r\n\r\n", false, false},
      {"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", true, false},
      {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", true,
       true},
      {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", true, false},
      {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", true, false},
      {"GET / HTTP/1.0\r\nConnection: upgrade, keep-alive\r\nUpgrade: websocket\r\n\r\n", true,
       false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.bytes);
    RequestHead head;
    ASSERT_EQ(RequestStatus(c.bytes, head), 0);
    EXPECT_EQ(head.keep_alive, c.keep_alive);
    EXPECT_EQ(head.upgrade, c.upgrade);
  }
}

TEST(H1ParserTest, ReusedHeadsKeepNothing) {
  RequestHead head;
  ASSERT_EQ(RequestStatus("POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n"
                          "Idempotency-Key: k\r\nConnection: close\r\n\r\n",
                          head),
            0);
  EXPECT_TRUE(head.idempotency_key);
  ASSERT_EQ(RequestStatus("GET / HTTP/1.1\r\nHost: b\r\n\r\n", head), 0);
  EXPECT_EQ(head.body, BodyKind::kNone);
  EXPECT_EQ(head.content_length, 0u);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_FALSE(head.idempotency_key);
  EXPECT_EQ(head.host, "b");
  EXPECT_EQ(head.fields.size(), 1u);
}

TEST(HeadScannerTest, FindsTheEndHoweverTheBytesArrive) {
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\r\n";
  const std::string bytes = head + "GET /next";
  for (size_t first = 0; first <= head.size(); ++first) {
    SCOPED_TRACE(first);
    HeadScanner scanner;
    const auto early = scanner.Scan(std::string_view(bytes).substr(0, first));
    EXPECT_EQ(early, first < head.size() ? HeadScanner::Result::kIncomplete
                                         : HeadScanner::Result::kComplete);
    if (early == HeadScanner::Result::kIncomplete) {
      EXPECT_EQ(scanner.Scan(bytes), HeadScanner::Result::kComplete);
    }
    EXPECT_EQ(scanner.size(), head.size());
  }
  HeadScanner scanner;  // byte by byte
  for (size_t size = 1; size < head.size(); ++size) {
    ASSERT_EQ(scanner.Scan(std::string_view(bytes).substr(0, size)),
              HeadScanner::Result::kIncomplete);
  }
  EXPECT_EQ(scanner.Scan(head), HeadScanner::Result::kComplete);
}

TEST(H1ParserTest, ReadsResponses) {
  struct Case {
    std::string name;
    std::string bytes;
    Method method;
    int status;
    BodyKind body;
    bool keep_alive;
  };
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  const Case cases[] = {
      {"length", ok + "Content-Length: 3\r\n\r\n", Method::kGet, 200, BodyKind::kLength, true},
      {"zero length", ok + "Content-Length: 0\r\n\r\n", Method::kGet, 200, BodyKind::kNone, true},
      {"chunked", ok + "Transfer-Encoding: Chunked\r\n\r\n", Method::kGet, 200, BodyKind::kChunked,
       true},
      {"until close", ok + "\r\n", Method::kGet, 200, BodyKind::kUntilClose, false},
      {"HEAD", ok + "Content-Length: 3\r\n\r\n", Method::kHead, 200, BodyKind::kNone, true},
      {"HEAD, chunked", ok + "Transfer-Encoding: chunked\r\n\r\n", Method::kHead, 200,
       BodyKind::kNone, true},
      {"204", "HTTP/1.1 204 No Content\r\n\r\n", Method::kGet, 204, BodyKind::kNone, true},
      {"304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", Method::kGet, 304,
       BodyKind::kNone, true},
      {"100", "HTTP/1.1 100 Continue\r\n\r\n", Method::kPost, 100, BodyKind::kNone, true},
      {"no reason", "HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\n", Method::kGet, 200,
       BodyKind::kLength, true},
      {"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", Method::kGet, 200,
       BodyKind::kLength, false},
      {"close", ok + "Connection: close\r\nContent-Length: 1\r\n\r\n", Method::kGet, 200,
       BodyKind::kLength, false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    ResponseHead head;
    ASSERT_EQ(ResponseStatus(c.bytes, c.method, head), 0);
    EXPECT_EQ(head.status, c.status);
    EXPECT_EQ(head.body, c.body);
    EXPECT_EQ(head.keep_alive, c.keep_alive);
  }
  ResponseHead head;
  ASSERT_EQ(ResponseStatus(ok + "Keep-Alive: timeout=5, max=9\r\nContent-Length: 0\r\n\r\n",
                           Method::kGet, head),
            0);
  EXPECT_EQ(head.keep_alive_seconds, 5u);
}

TEST(H1ParserTest, RefusesBadResponses) {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  const std::string cases[] = {
      "HTTP/1.1 20 OK\r\n\r\n",
      "HTTP/1.1 2000 OK\r\n\r\n",
      "HTTP/1.1 099 OK\r\n\r\n",
      "HTTP/1.1 600 OK\r\n\r\n",
      "HTTP/1.1  200 OK\r\n\r\n",
      "HTTP/2.0 200 OK\r\n\r\n",
      "HTTP/1.1 200 O\x01K\r\n\r\n",
      "200 OK\r\n\r\n",
      "ICY 200 OK\r\n\r\n",
      "HTTP/1.1 200 OK\n\n",
      "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\n",
      ok + "Connection: a b\r\nContent-Length: 1\r\n\r\n",
      ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
      ok + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      ok + "Content-Length: x\r\n\r\n",
      ok + "Transfer-Encoding: gzip, chunked\r\n\r\n",
      ok + "X : y\r\n\r\n",
      ok + "X: a\r\n b\r\n\r\n",
      "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
  };
  for (const std::string& bytes : cases) {
    SCOPED_TRACE(bytes);
    ResponseHead head;
    EXPECT_EQ(ResponseStatus(bytes, Method::kGet, head), 502);
  }
}

TEST(H1ParserTest, KnowsIdempotentMethods) {
  EXPECT_TRUE(IsIdempotent(Method::kGet));
  EXPECT_TRUE(IsIdempotent(Method::kPut));
  EXPECT_FALSE(IsIdempotent(Method::kPost));
  EXPECT_FALSE(IsIdempotent(Method::kPatch));
  EXPECT_FALSE(IsIdempotent(Method::kOther));
}

}  // namespace
}  // namespace pando::proxy
