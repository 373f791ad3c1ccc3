// The load of `ctl bench` against servers that are quick, slow, or rude.
#include "ctl/bench_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <functional>
#include <istream>
#include <memory>
#include <string>
#include <thread>

namespace pando::ctl {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using testing::ElementsAre;
using testing::Pair;

struct Answer {
  std::string text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  std::chrono::milliseconds after{0};
  bool close = false;
};

// Answers each request as it is told; on a thread of its own.
class Server {
 public:
  // The number of the request, from 1, and its head -> what it is answered.
  using Script = std::function<Answer(int number, const std::string& head)>;

  explicit Server(Script script) : script_(std::move(script)) {
    Accept();
    thread_ = std::thread([this] { io_.run(); });
  }
  ~Server() {
    io_.stop();
    thread_.join();
  }
  BenchPlan Plan() const {
    BenchPlan plan;
    plan.url = {"127.0.0.1", acceptor_.local_endpoint().port(), "/work"};
    plan.rate = 100;
    plan.duration = Millis{300};
    plan.timeout = Millis{5'000};
    return plan;
  }
  int requests() const { return requests_; }

 private:
  struct Session {
    explicit Session(tcp::socket of) : socket(std::move(of)), timer(socket.get_executor()) {}
    tcp::socket socket;
    asio::steady_timer timer;
    asio::streambuf in;
    Answer answer;
  };

  void Accept() {
    acceptor_.async_accept([this](const error_code& error, tcp::socket socket) {
      if (error) return;
      Read(std::make_shared<Session>(std::move(socket)));
      Accept();
    });
  }
  void Read(const std::shared_ptr<Session>& session) {
    asio::async_read_until(
        session->socket, session->in, "\r\n\r\n",
        [this, session](const error_code& error, size_t size) {
          if (error) return;
          std::string head(size, '\0');
          std::istream(&session->in).read(head.data(), static_cast<std::streamsize>(size));
          session->answer = script_(++requests_, head);
          session->timer.expires_after(session->answer.after);
          session->timer.async_wait([this, session](const error_code&) { Write(session); });
        });
  }
  void Write(const std::shared_ptr<Session>& session) {
    asio::async_write(session->socket, asio::buffer(session->answer.text),
                      [this, session](const error_code& error, size_t) {
                        if (!error && !session->answer.close) Read(session);
                      });
  }

  Script script_;
  asio::io_context io_;
  tcp::acceptor acceptor_{io_, {asio::ip::address_v4::loopback(), 0}};
  std::atomic<int> requests_{0};
  std::thread thread_;
};

TEST(BenchRunTest, AsksAsOftenAsItIsToldAndNoMore) {
  std::atomic<bool> well_formed{true};
  Server server([&](int, const std::string& head) {
    const bool fine = head.rfind("GET /work HTTP/1.1\r\nHost: 127.0.0.1:", 0) == 0 &&
                      head.find("X-Test: yes\r\n") != std::string::npos;
    if (!fine) well_formed = false;
    return Answer{};
  });
  BenchPlan plan = server.Plan();
  plan.headers = {{"X-Test", "yes"}};
  const auto result = RunBench(plan);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->due, 30u);
  EXPECT_EQ(result->answered, 30u);
  EXPECT_EQ(result->failed(), 0u);
  EXPECT_THAT(result->by_status, ElementsAre(Pair(200, 30)));
  EXPECT_EQ(server.requests(), 30);
  EXPECT_LE(result->connects, plan.connections);
  EXPECT_TRUE(well_formed);
}

TEST(BenchRunTest, WhatWaitsBehindASlowAnswerCountsAsSlow) {
  // The first request holds the only connection for a while; all others are answered at once.
  Server server([](int number, const std::string&) {
    Answer answer;
    if (number == 1) answer.after = 200ms;
    return answer;
  });
  BenchPlan plan = server.Plan();
  plan.connections = 1;
  const auto result = RunBench(plan);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->answered, 30u);
  EXPECT_GE(result->latency.max(), 200ms);
  // The requests due at 10, 20, ... ms waited 190, 180, ... ms: a third of all took over 90 ms.
  EXPECT_GE(result->latency.Quantile(0.70), 80ms);
  EXPECT_GE(result->longest_wait, 180ms);
}

TEST(BenchRunTest, StatusesAndLostAnswersAreTold) {
  Server server([](int number, const std::string&) {
    Answer answer;
    if (number % 3 == 0) answer.text = "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n";
    if (number % 3 == 1) answer = {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", 0ms, true};
    return answer;
  });
  BenchPlan plan = server.Plan();
  plan.connections = 1;
  const auto result = RunBench(plan);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->answered, 20u);
  EXPECT_EQ(result->by_status.at(503), 10u);
  EXPECT_EQ(result->errors.size(), 1u);
  EXPECT_EQ(result->failed(), 20u);
}

TEST(BenchRunTest, AConnectionTheServerDoesNotKeepIsNoFailure) {
  Server server([](int, const std::string&) {
    return Answer{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 0ms, true};
  });
  const auto result = RunBench(server.Plan());
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->answered, 30u);
  EXPECT_EQ(result->failed(), 0u);
}

TEST(BenchRunTest, WhoNeverAnswersEndsTheBenchInTime) {
  Server server([](int, const std::string&) {
    Answer answer;
    answer.after = 60s;
    return answer;
  });
  BenchPlan plan = server.Plan();
  plan.connections = 2;
  plan.timeout = Millis{200};
  const auto result = RunBench(plan);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->answered, 0u);
  EXPECT_EQ(result->failed(), 30u);
  uint64_t told = 0;
  for (const auto& [what, count] : result->errors) told += count;
  EXPECT_EQ(told, 30u);
}

TEST(BenchRunTest, NobodyThereIsToldForEveryRequest) {
  BenchPlan plan;
  {
    asio::io_context io;
    tcp::acceptor taken(io, {asio::ip::address_v4::loopback(), 0});
    plan.url = {"127.0.0.1", taken.local_endpoint().port(), "/"};
  }
  plan.rate = 100;
  plan.duration = Millis{100};
  const auto result = RunBench(plan);
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(result->errors, ElementsAre(Pair("connect: Connection refused", 10)));
}

TEST(BenchRunTest, AnUnknownHostIsAnError) {
  BenchPlan plan;
  plan.url = {"no-such-host.invalid", 80, "/"};
  EXPECT_FALSE(RunBench(plan).ok());
}

}  // namespace
}  // namespace pando::ctl
