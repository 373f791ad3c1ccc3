#include "agent/prober.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <future>
#include <thread>

#include "common/runtime/unique_fd.h"

namespace pando::agent {
namespace {

// Answers each connection with the same bytes, or with silence when there are none.
class Server {
 public:
  Server(const std::string& address, std::string answer) : answer_(std::move(answer)) {
    listener_.reset(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in name = {};
    name.sin_family = AF_INET;
    inet_pton(AF_INET, address.c_str(), &name.sin_addr);
    socklen_t size = sizeof(name);
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&name), size), 0);
    EXPECT_EQ(listen(listener_.get(), 16), 0);
    getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&name), &size);
    port_ = ntohs(name.sin_port);
    thread_ = std::thread([this] { Serve(); });
  }
  ~Server() {
    shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  uint16_t port() const { return port_; }

 private:
  void Serve() {
    while (true) {
      const UniqueFd fd(accept(listener_.get(), nullptr, nullptr));
      if (!fd.valid()) return;
      char request[1024];
      if (read(fd.get(), request, sizeof(request)) <= 0) continue;
      if (!answer_.empty()) {
        (void)!write(fd.get(), answer_.data(), answer_.size());
      } else {
        (void)!read(fd.get(), request, sizeof(request));  // until the probe gives up
      }
    }
  }

  UniqueFd listener_;
  std::string answer_;
  uint16_t port_ = 0;
  std::thread thread_;
};

class ProberTest : public testing::Test {
 protected:
  ProberTest() : thread_([this] { loop_.Run(); }) {
    policy_.kind = ProbePolicy::Kind::kHttp;
    policy_.path = "/healthz";
    policy_.timeout = Millis{5'000};
  }
  ~ProberTest() override {
    loop_.Stop();
    thread_.join();
  }
  std::string Probe(uint16_t port) {
    std::promise<std::string> result;
    loop_.Post([&] {
      prober_.Probe(policy_, port, [&](const std::string& failure) { result.set_value(failure); });
    });
    return result.get_future().get();
  }

  EventLoop loop_;
  Prober prober_{loop_};
  ProbePolicy policy_;
  std::thread thread_;
};

TEST_F(ProberTest, HttpAnswersDecide) {
  struct Case {
    std::string answer;
    std::string want;
  };
  const Case cases[] = {
      {"HTTP/1.1 200 OK\r\n\r\n", ""},
      {"HTTP/1.0 204\r\n\r\n", ""},
      {"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", ""},
      {"HTTP/1.1 404 Not Found\r\n\r\n", "HTTP status 404"},
      {"HTTP/1.1 503 Busy\r\n\r\n" + std::string(10'000, 'x'), "HTTP status 503"},
      {"HTTP/1.1 100 Continue\r\n\r\n", "HTTP status 100"},
      {"SSH-2.0-OpenSSH_9.2\r\n", "the answer is not HTTP"},
      {std::string(2'000, 'x'), "the answer is not HTTP"},
      {"HTT", "it closed the connection without an answer"},
  };
  for (const Case& c : cases) {
    const Server server("127.0.0.1", c.answer);
    EXPECT_EQ(Probe(server.port()), c.want) << c.answer.substr(0, 30);
  }
}

TEST_F(ProberTest, SilenceIsAFailureAfterTheTimeout) {
  const Server server("127.0.0.1", "");
  policy_.timeout = Millis{50};
  EXPECT_EQ(Probe(server.port()), "no answer within 50 ms");
}

TEST_F(ProberTest, ATcpProbeOnlyConnects) {
  const Server server("127.0.0.1", "");
  policy_.kind = ProbePolicy::Kind::kTcp;
  EXPECT_EQ(Probe(server.port()), "");
}

TEST_F(ProberTest, WhatListensOnTheNodesOwnAddressOnlyIsFoundThere) {
  const Server server("127.0.0.2", "HTTP/1.1 200 OK\r\n\r\n");
  EXPECT_EQ(Probe(server.port()), "connection refused");
  prober_.SetSecondAddress("127.0.0.2");
  EXPECT_EQ(Probe(server.port()), "");
}

}  // namespace
}  // namespace pando::agent
