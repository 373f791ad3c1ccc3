#include "proxy/core/h1_writer.h"

#include <gtest/gtest.h>

#include <string>

namespace pando::proxy {
namespace {

// Without a trace, and with "id" for an id.
std::string Rewrite(const std::string& bytes) {
  RequestHead head;
  const HeadError error = ParseRequestHead(bytes, head);
  EXPECT_FALSE(error) << error.reason;
  std::string out;
  FastRandom random(1);
  ForwardPolicy policy;
  policy.start_traces = false;
  const RequestOrigin origin{"10.0.0.9", "http", false};
  AppendRequestHead(head, {origin, policy, "id"}, random, out);
  return out;
}

std::string Rewrite(const std::string& bytes, const ResponseShape& shape,
                    Method method = Method::kGet) {
  ResponseHead head;
  const HeadError error = ParseResponseHead(bytes, method, head);
  EXPECT_FALSE(error) << error.reason;
  std::string out;
  AppendResponseHead(head, shape, out);
  return out;
}

TEST(H1WriterTest, RewritesRequests) {
  struct Case {
    std::string name;
    std::string in;
    std::string want;
  };
  const std::string forwarded = "X-Forwarded-For: 10.0.0.9\r\nX-Forwarded-Proto: http\r\n";
  const std::string end = "X-Request-Id: id\r\n\r\n";
  const Case cases[] = {
      {"plain", "GET /a HTTP/1.1\r\nHost: a.com\r\nAccept: */*\r\n\r\n",
       "GET /a HTTP/1.1\r\nHost: a.com\r\nAccept: */*\r\n" + forwarded +
           "X-Forwarded-Host: a.com\r\n" + end},
      {"hop by hop",
       "GET / HTTP/1.1\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\nHost: a\r\n"
       "Keep-Alive: 5\r\nTE: trailers\r\nProxy-Connection: x\r\nUpgrade: h2c\r\nB: c\r\n\r\n",
       "GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n" + forwarded + "X-Forwarded-Host: a\r\n" + end},
      {"forwarded before",
       "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2\r\n"
       "X-Forwarded-Proto: https\r\nx-forwarded-for: 3.3.3.3\r\nX-Forwarded-Host: evil\r\n\r\n",
       "GET / HTTP/1.1\r\nHost: a\r\n" + forwarded + "X-Forwarded-Host: a\r\n" + end},
      {"names that are others' names",
       "GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 6.6.6.6\r\nContent_Length: 5\r\n"
       "Transfer_Encoding: chunked\r\nX_Other: 1\r\n\r\n",
       "GET / HTTP/1.1\r\nHost: a\r\nX_Other: 1\r\n" + forwarded + "X-Forwarded-Host: a\r\n" + end},
      {"an id of its own", "GET / HTTP/1.1\r\nX-Request-Id: mine\r\nHost: a\r\n\r\n",
       "GET / HTTP/1.1\r\nHost: a\r\n" + forwarded + "X-Forwarded-Host: a\r\n" + end},
      {"chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
       "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" + forwarded +
           "X-Forwarded-Host: a\r\n" + end},
      {"websocket",
       "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
       "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + forwarded +
           "X-Forwarded-Host: a\r\n" + end},
      {"HTTP/1.0", "GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n",
       "GET / HTTP/1.1\r\nHost: \r\n" + forwarded + end},
      {"absolute form", "GET http://A/x HTTP/1.1\r\nHost: a\r\n\r\n",
       "GET /x HTTP/1.1\r\nHost: a\r\n" + forwarded + "X-Forwarded-Host: A\r\n" + end},
      {"expectation", "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
       "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n" + forwarded +
           "X-Forwarded-Host: a\r\n" + end},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const std::string out = Rewrite(c.in);
    EXPECT_EQ(out, c.want);
    RequestHead again;
    EXPECT_TRUE(c.name == "HTTP/1.0" || !ParseRequestHead(out, again));
  }
}

TEST(H1WriterTest, RewritesResponses) {
  const std::string in =
      "HTTP/1.1 200 Fine\r\nDate: x\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n"
      "Keep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(Rewrite(in, {}), "HTTP/1.1 200 Fine\r\nDate: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(Rewrite(in, {.close = true}),
            "HTTP/1.1 200 Fine\r\nDate: x\r\nTransfer-Encoding: chunked\r\n"
            "Connection: close\r\n\r\n");
  EXPECT_EQ(Rewrite(in, {.client_minor_version = 0, .close = true, .dechunk = true}),
            "HTTP/1.1 200 Fine\r\nDate: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(Rewrite("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", {.client_minor_version = 0}),
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(Rewrite("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", {}),
            "HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_EQ(Rewrite("HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n", {}),
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n");
  EXPECT_EQ(Rewrite("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", {.close = true}),
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
  EXPECT_EQ(Rewrite("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
                    {}),
            "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
}

TEST(H1WriterTest, MakesItsOwnResponses) {
  std::string out;
  AppendOwnResponse({503, "no instance of web is ready"}, out);
  EXPECT_EQ(out,
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
            "Content-Length: 28\r\nRetry-After: 1\r\n\r\nno instance of web is ready\n");
  out.clear();
  AppendOwnResponse({400, "no", true, true}, out);
  EXPECT_EQ(out,
            "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
            "Content-Length: 3\r\nConnection: close\r\n\r\n");
}

}  // namespace
}  // namespace pando::proxy
