// The whole control side of a proxy that has no controller, only what an earlier run left behind.
#include "proxy/control/proxy_app.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <filesystem>
#include <thread>

#include "common/runtime/data_dir.h"
#include "proxy/control/fake_data_plane.h"
#include "proxy/control/test_resources.h"

namespace pando::proxy {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// The whole answer, head and body; "" when nobody answers.
std::string Get(uint16_t port, const std::string& path) {
  namespace asio = boost::asio;
  asio::io_context io;
  asio::ip::tcp::socket socket(io);
  boost::system::error_code error;
  socket.connect({asio::ip::make_address("127.0.0.1"), port}, error);
  if (error) return "";
  asio::write(socket,
              asio::buffer("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              error);
  std::string answer;
  asio::read(socket, asio::dynamic_buffer(answer), error);
  return answer;
}

class ProxyAppTest : public ::testing::Test {
 protected:
  ProxyAppTest() : dir_(std::filesystem::temp_directory_path() / RandomHexId()) {
    options_.data_dir = dir_;
    options_.id = "edge-1";
    options_.controller = {"127.0.0.1", 1};  // nobody is there
    options_.http_listen = {"127.0.0.1", 0};
  }
  ~ProxyAppTest() override { std::filesystem::remove_all(dir_); }

  const std::filesystem::path dir_;
  ProxyOptions options_;
};

TEST_F(ProxyAppTest, ServesByTheLastTableAndShowsIt) {
  std::filesystem::create_directory(dir_);
  XdsSnapshot snapshot;
  auto endpoints = GoodEndpoints();
  // The old one of an instance that is being replaced.
  AddEndpoint(endpoints, "127.0.0.1", 20002, xds_core::DRAINING, "web.1-bbbb");
  snapshot.of(XdsType::kCluster)["web"] = {"1", AnyBytes(GoodCluster())};
  snapshot.of(XdsType::kEndpoints)["web"] = {"1", AnyBytes(endpoints)};
  snapshot.of(XdsType::kListener)["default"] = {"1", AnyBytes(GoodListener())};
  snapshot.of(XdsType::kRoute)["default"] = {"1", AnyBytes(GoodRoutes())};
  ASSERT_TRUE(WriteFileAtomically(dir_ / "table.pb", SerializeSnapshot(snapshot)).ok());

  auto app = ProxyApp::Create(options_);
  ASSERT_TRUE(app.ok()) << app.status();
  std::thread thread([&] { (*app)->Run(); });
  const uint16_t port = (*app)->http_port();

  EXPECT_THAT(Get(port, "/healthz"), StartsWith("HTTP/1.1 200"));
  const std::string table = Get(port, "/table");
  EXPECT_THAT(table, HasSubstr(R"("source":"file","connected":false)"));
  EXPECT_THAT(table, HasSubstr(R"({"address":"127.0.0.1","port":20002,"health":"draining",)"));
  EXPECT_THAT(table, HasSubstr(R"({"name":"default","address":"127.0.0.1","port":8080,)"));
  EXPECT_THAT(table, HasSubstr(R"({"prefix":"/","segments":true,"cluster":"web",)"
                               R"("https_redirect":false,"timeout_ms":0,"per_try_ms":0})"));
  EXPECT_THAT(Get(port, "/stats"), HasSubstr(R"("app":"web","requests_total":3)"));

  const std::string metrics = Get(port, "/metrics");
  for (const char* line :
       {R"(pando_proxy_requests_total{app="web",code="2xx"} 2)",
        R"(pando_proxy_requests_total{app="web",code="5xx"} 1)",
        R"(pando_proxy_request_seconds_bucket{app="web",le="0.1"} 2)",
        R"(pando_proxy_request_seconds_bucket{app="web",le="+Inf"} 3)",
        R"(pando_proxy_instance_requests_total{app="web",instance="web.1",code="2xx"} 2)",
        R"(pando_proxy_instance_response_bytes_total{app="web",instance="web.1"} 400)",
        R"(pando_proxy_instance_info{app="web",instance="web.1",revision="7",draining="true"} 1)",
        R"(pando_proxy_in_flight{app="web",instance="web.1"} 0)", "pando_proxy_table_version 1",
        "pando_proxy_controller_connected 0", "pando_proxy_nacks_total 0"}) {
    EXPECT_THAT(metrics, HasSubstr(std::string(line) + "\n"));
  }
  const std::string series = "pando_proxy_in_flight{";
  EXPECT_EQ(metrics.find(series), metrics.rfind(series));

  (*app)->loop().Post([&] { (*app)->Drain(); });
  thread.join();
}

TEST_F(ProxyAppTest, ASecondProxyCannotTakeTheSameDataDirectory) {
  auto app = ProxyApp::Create(options_);
  ASSERT_TRUE(app.ok()) << app.status();
  const auto second = ProxyApp::Create(options_);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("is in use by process"));
}

TEST(ProxyFlagsTest, RefusesBadValues) {
  struct Case {
    std::string name;
    std::function<void(ProxyFlags&)> spoil;
    std::string want;
  };
  const Case cases[] = {
      {"no id", [](ProxyFlags& f) { f.id = ""; }, "--id: must not be empty"},
      {"workers", [](ProxyFlags& f) { f.workers = -1; }, "--workers: -1 is not in 0-256"},
      {"drain timeout", [](ProxyFlags& f) { f.drain_timeout = "soon"; },
       "--drain-timeout: \"soon\" is not a duration from 0s to 24h (for example 30s, 2m)"},
      {"access log format", [](ProxyFlags& f) { f.access_log_format = "xml"; },
       "--access-log-format: \"xml\" is not known (allowed: json, common, combined)"},
  };
  EXPECT_TRUE(ProxyFlags().Read().ok());
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    ProxyFlags flags;
    c.spoil(flags);
    EXPECT_EQ(flags.Read().status().message(), c.want);
  }
  ProxyFlags open;
  open.http_listen = "0.0.0.0:7482";
  EXPECT_FALSE(open.Read().ok());
  open.insecure = true;
  EXPECT_TRUE(open.Read().ok());
}

}  // namespace
}  // namespace pando::proxy
