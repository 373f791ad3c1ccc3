#include "agent/page_fetch.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "agent/testing/canned_server.h"
#include "common/runtime/event_loop.h"

namespace pando::agent {
namespace {

using boost::asio::ip::make_address;
using boost::asio::ip::tcp;

class PageFetchTest : public testing::Test {
 protected:
  PageFetchTest() : thread_([this] { loop_.Run(); }) {}
  ~PageFetchTest() override {
    loop_.Stop();
    thread_.join();
  }
  absl::StatusOr<std::string> Fetch(uint16_t port, const PageLimits& limits = {Millis{10'000}}) {
    std::promise<absl::StatusOr<std::string>> result;
    loop_.Post([&] {
      FetchPage(loop_.io(), {{make_address("127.0.0.1"), port}, {make_address("127.0.0.2"), port}},
                "/my-metrics", limits,
                [&](const absl::StatusOr<std::string>& page) { result.set_value(page); });
    });
    return result.get_future().get();
  }

  EventLoop loop_;
  std::thread thread_;
};

TEST_F(PageFetchTest, BodiesAreReadHoweverTheyAreFramed) {
  for (const char* answer :
       {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nup 1\n", "HTTP/1.1 200 OK\r\n\r\nup 1\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nup \r\n2\r\n1\n\r\n0\r\n\r\n"}) {
    CannedServer server("127.0.0.1", answer);
    const auto page = Fetch(server.port());
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_EQ(*page, "up 1\n");
    EXPECT_TRUE(server.request().starts_with("GET /my-metrics HTTP/1.1\r\n")) << server.request();
    EXPECT_NE(server.request().find("Connection: close\r\n"), std::string::npos);
  }
}

TEST_F(PageFetchTest, TheSecondAddressIsTriedWhereTheFirstRefuses) {
  const CannedServer server("127.0.0.2", "HTTP/1.1 200 OK\r\n\r\nup 1\n");
  EXPECT_EQ(Fetch(server.port()).value(), "up 1\n");
}

TEST_F(PageFetchTest, WhatIsNoPageIsAnError) {
  struct Case {
    std::string answer;
    absl::StatusCode want;
  };
  const Case cases[] = {
      {"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", absl::StatusCode::kUnavailable},
      {"HTTP/1.1 204 No Content\r\n\r\n", absl::StatusCode::kUnavailable},
      {"SSH-2.0-OpenSSH_9.2\r\n", absl::StatusCode::kUnavailable},
      {"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", absl::StatusCode::kUnavailable},
      {"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\nlong",
       absl::StatusCode::kResourceExhausted},
      {"HTTP/1.1 200 OK\r\n\r\n" + std::string(9'000, 'x'), absl::StatusCode::kResourceExhausted},
  };
  for (const Case& c : cases) {
    const CannedServer server("127.0.0.1", c.answer);
    EXPECT_EQ(Fetch(server.port(), {.bytes = 8'000}).status().code(), c.want)
        << c.answer.substr(0, 50);
  }
}

TEST_F(PageFetchTest, SilenceEndsAtTheTimeout) {
  const CannedServer server("127.0.0.1", "");
  const auto page = Fetch(server.port(), {.timeout = Millis{50}});
  EXPECT_EQ(page.status(), absl::DeadlineExceededError("no answer within 50 ms"));
}

TEST_F(PageFetchTest, NobodyThereIsAnError) {
  uint16_t port = 0;
  { port = CannedServer("127.0.0.1", "x").port(); }
  EXPECT_EQ(Fetch(port).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace pando::agent
