#include "common/runtime/admin_http.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/runtime/data_dir.h"
#include "common/runtime/version.h"

namespace pando {
namespace {

using boost::asio::ip::tcp;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// The server on its loop's thread; the tests are plain blocking clients.
class AdminHttpTest : public testing::Test {
 protected:
  void SetUp() override {
    admin_ = std::make_unique<AdminHttp>(loop_, metrics_);
    admin_->Handle("/table", [] {
      return AdminResponse{.content_type = "application/json", .body = "{\"version\":7}"};
    });
    ASSERT_TRUE(admin_->Listen("127.0.0.1:0", "--http-listen").ok());
    port_ = admin_->port();
    thread_ = std::thread([this] { loop_.Run(); });
  }
  void TearDown() override {
    CloseServer();
    loop_.Stop();
    thread_.join();
  }
  void CloseServer() {
    std::promise<void> closed;
    loop_.Post([&] {
      admin_.reset();
      closed.set_value();
    });
    closed.get_future().wait();
  }

  tcp::socket Connect() {
    tcp::socket socket(client_io_);
    socket.connect({boost::asio::ip::address_v4::loopback(), port_});
    return socket;
  }
  // Everything up to the server's close.
  static std::string ReadAll(tcp::socket& socket) {
    std::string text;
    boost::system::error_code error;
    boost::asio::read(socket, boost::asio::dynamic_buffer(text), error);
    return text;
  }
  std::string Exchange(const std::string& request) {
    tcp::socket socket = Connect();
    boost::asio::write(socket, boost::asio::buffer(request));
    return ReadAll(socket);
  }
  std::string Get(const std::string& path) {
    return Exchange("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  }

  EventLoop loop_;
  Metrics metrics_{"pando-test"};
  std::unique_ptr<AdminHttp> admin_;
  std::thread thread_;
  uint16_t port_ = 0;
  boost::asio::io_context client_io_;
};

TEST_F(AdminHttpTest, ServesItsPages) {
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(Get("/healthz"), EndsWith("\r\n\r\nok\n"));
  EXPECT_THAT(Get("/table"), HasSubstr("Content-Type: application/json"));
  EXPECT_THAT(Get("/table?verbose=1"), EndsWith("{\"version\":7}"));
}

TEST_F(AdminHttpTest, ServesMetricsOfTheProcess) {
  const std::string page = Get("/metrics");
  EXPECT_THAT(page, HasSubstr("text/plain; version=0.0.4"));
  EXPECT_THAT(page, HasSubstr("pando_build_info{program=\"pando-test\",version=\"" +
                              std::string(Version()) + "\"} 1"));
  for (const char* name : {"process_resident_memory_bytes", "process_cpu_seconds_total",
                           "process_open_fds", "process_start_time_seconds"}) {
    const size_t at = page.find(std::string("\n") + name + " ");
    ASSERT_NE(at, std::string::npos) << name;
    EXPECT_GT(std::stod(page.substr(at + 2 + std::string(name).size())), 0) << name;
  }
}

TEST_F(AdminHttpTest, KeepsConnectionsAliveAndAnswersHeadWithoutBody) {
  tcp::socket socket = Connect();
  boost::asio::write(socket, boost::asio::buffer(std::string("HEAD /healthz HTTP/1.1\r\n\r\n")));
  std::string head;
  boost::asio::read_until(socket, boost::asio::dynamic_buffer(head), "\r\n\r\n");
  EXPECT_THAT(head, HasSubstr("Content-Length: 3\r\n"));
  EXPECT_THAT(head, EndsWith("\r\n\r\n"));
  boost::asio::write(
      socket,
      boost::asio::buffer(std::string("GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n")));
  EXPECT_THAT(ReadAll(socket), EndsWith("\r\n\r\nok\n"));
}

TEST_F(AdminHttpTest, RefusesWhatItDoesNotServe) {
  EXPECT_THAT(Get("/nothing"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Get("/nothing"), EndsWith("no such page; there are: /healthz /metrics /table\n"));
  EXPECT_THAT(Exchange("POST /table HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"),
              StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(Exchange("nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Exchange("GET / HTTP/1.1\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 431 "));
}

TEST_F(AdminHttpTest, ClosesConnectionsBeyondItsLimit) {
  std::vector<tcp::socket> open;
  for (int i = 0; i < 64; ++i) {
    open.push_back(Connect());
    boost::asio::write(open.back(), boost::asio::buffer(std::string("GET /")));
  }
  tcp::socket refused = Connect();
  EXPECT_EQ(ReadAll(refused), "");  // returns: closed without an answer
  boost::asio::write(
      open[0], boost::asio::buffer(std::string("healthz HTTP/1.1\r\nConnection: close\r\n\r\n")));
  EXPECT_THAT(ReadAll(open[0]), EndsWith("ok\n"));
}

TEST_F(AdminHttpTest, DestructionClosesOpenConnections) {
  tcp::socket idle = Connect();
  Get("/healthz");  // the idle connection was accepted before this one
  CloseServer();
  EXPECT_EQ(ReadAll(idle), "");
}

TEST_F(AdminHttpTest, SaysWhoseFaultItIsWhenThePortIsTaken) {
  AdminHttp second(loop_, metrics_);
  const std::string address = "127.0.0.1:" + std::to_string(port_);
  EXPECT_EQ(std::string(second.Listen(address, "--http-listen").message()),
            "cannot listen on " + address +
                ": address already in use (another program has it; choose another with "
                "--http-listen)");
  EXPECT_THAT(std::string(second.Listen("7480", "http-listen").message()),
              StartsWith("--http-listen: "));
}

}  // namespace
}  // namespace pando
