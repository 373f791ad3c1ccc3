#include "controller/service/scrape_targets.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <map>
#include <string>

#include "pando/v1/spec.pb.h"

namespace pando::controller {
namespace {

Instant At(int64_t ms) { return Instant{Millis{ms}}; }

TEST(ReachableAddressTest, IsWhereThePeerIsUnlessItListensOnOneAddress) {
  struct Case {
    std::string name, listens, peer, want;
  };
  const Case cases[] = {
      {"one address", "10.0.0.5:7481", "10.0.0.9", "10.0.0.5:7481"},
      {"all addresses", "0.0.0.0:7481", "10.0.0.5", "10.0.0.5:7481"},
      {"all addresses, version 6", "[::]:7481", "fd00::5", "[fd00::5]:7481"},
      {"all addresses of nobody known", "0.0.0.0:7481", "", ""},
      {"loopback on this host", "127.0.0.1:7481", "127.0.0.1", "127.0.0.1:7481"},
      {"loopback on another host", "127.0.0.1:7481", "10.0.0.5", ""},
      {"loopback of somebody unknown", "[::1]:7481", "", ""},
      {"a name", "localhost:7481", "127.0.0.1", ""},
      {"nothing", "", "127.0.0.1", ""},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(ReachableAddress(c.listens, c.peer), c.want);
  }
}

TEST(AddressOfPeerTest, IsWithoutFamilyBracketsAndPort) {
  EXPECT_EQ(AddressOfPeer("ipv4:10.0.0.7:51234"), "10.0.0.7");
  EXPECT_EQ(AddressOfPeer("ipv6:%5Bfd00::1%5D:51234"), "fd00::1");
  EXPECT_EQ(AddressOfPeer("ipv6:[::1]:51234"), "::1");
  EXPECT_EQ(AddressOfPeer("unix:/run/pando.sock"), "");
  EXPECT_EQ(AddressOfPeer(""), "");
}

class ScrapeTargetsTest : public ::testing::Test {
 protected:
  ScrapeTargetsTest()
      : cluster_(
            ClusterPolicy{}, {}, [this] { return ++random_; }, At(0)) {
    targets_.SetOwn("127.0.0.1:7480");
  }

  void Join(const std::string& node) {
    NodeHello hello;
    hello.node = {node};
    hello.agent_id = "agent-of-" + node;
    hello.address = "10.0.0.5";
    hello.max_instances = 10;
    hello.cpu_millis = 1'000;
    hello.memory_bytes = 1 << 30;
    ASSERT_TRUE(cluster_.NodeConnected(hello, At(1), effects_).ok());
  }

  static std::map<std::string, boost::json::object> ByAddress(const std::string& text) {
    std::map<std::string, boost::json::object> found;
    const boost::json::value document = boost::json::parse(text);
    for (const boost::json::value& group : document.as_array()) {
      const auto& targets = group.at("targets").as_array();
      EXPECT_EQ(targets.size(), 1u);
      found[std::string(targets.at(0).as_string())] = group.at("labels").as_object();
    }
    return found;
  }

  uint64_t random_ = 0;
  Cluster cluster_;
  Effects effects_;
  ScrapeTargets targets_{"controller-host"};
};

TEST_F(ScrapeTargetsTest, ListsTheControllerAndEveryDaemonTheClusterKnows) {
  Join("node-1");
  Join("node-2");
  cluster_.ProxyConnected({"edge-1"}, {}, At(2), effects_);
  targets_.NodeAt({"node-1"}, "10.0.0.5:7481");
  targets_.NodeAt({"node-2"}, "");  // its metrics are reached by nobody
  targets_.NodeAt({"node-3"}, "10.0.0.7:7481");
  targets_.ProxyAt({"edge-1"}, "10.0.0.6:7482");

  const auto found = ByAddress(targets_.Daemons(cluster_, At(3)));
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found.at("127.0.0.1:7480").at("role").as_string(), "controller");
  EXPECT_EQ(found.at("10.0.0.5:7481").at("role").as_string(), "agent");
  EXPECT_EQ(found.at("10.0.0.5:7481").at("node").as_string(), "node-1");
  EXPECT_EQ(found.at("10.0.0.5:7481").at("instance").as_string(), "node-1");
  EXPECT_EQ(found.at("10.0.0.6:7482").at("proxy").as_string(), "edge-1");
}

TEST_F(ScrapeTargetsTest, AControllerOnAllAddressesIsFoundByItsHostsName) {
  targets_.SetOwn("0.0.0.0:7480");
  EXPECT_EQ(ByAddress(targets_.Daemons(cluster_, At(3))).count("controller-host:7480"), 1u);
}

TEST_F(ScrapeTargetsTest, AnAppWithMetricsIsListedInstanceByInstance) {
  Join("node-1");
  v1::AppSpec spec;
  spec.mutable_metrics()->set_path("/stats/prometheus");
  AppRequest with, without;
  with.app = {"web"};
  with.config.payload = spec.SerializeAsString();
  with.config.hosts = {"web.test"};
  without.app = {"api"};
  without.config.hosts = {"api.test"};
  ASSERT_TRUE(cluster_.Apply({with, without}, {}, {}, At(2), effects_).ok());
  for (const AppId& app : cluster_.apps()) {
    for (const InstanceStatus& instance : cluster_.GetInstances(app)) {
      InstanceReport report;
      report.assignment = instance.assignment.id;
      report.phase = Phase::kReady;
      report.port = 20'001;
      report.incarnation = 1;
      cluster_.InstanceChanged({"node-1"}, report, At(3), effects_);
    }
  }
  const auto found = ByAddress(ScrapeTargets::Apps(cluster_));
  ASSERT_EQ(found.size(), 1u);
  const boost::json::object& labels = found.at("10.0.0.5:20001");
  EXPECT_EQ(labels.at("app").as_string(), "web");
  EXPECT_EQ(labels.at("instance").as_string(), "web.1");
  EXPECT_EQ(labels.at("node").as_string(), "node-1");
  EXPECT_EQ(labels.at("revision").as_string(), "1");
  EXPECT_EQ(labels.at("__metrics_path__").as_string(), "/stats/prometheus");
}

}  // namespace
}  // namespace pando::controller
