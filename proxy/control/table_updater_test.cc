#include "proxy/control/table_updater.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/runtime/manual_executor.h"
#include "proxy/control/fake_data_plane.h"
#include "proxy/control/test_resources.h"

namespace pando::proxy {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// The loop in virtual time, a data plane that switches when told, and what would be sent.
class TableUpdaterTest : public ::testing::Test {
 protected:
  TableUpdaterTest() {
    updater_.SetHooks({
        .send = [this](const XdsRequest& request) { Note(request); },
        .switched = [this](std::shared_ptr<const ProxyTable>) { ++switched_; },
        .save = [this](const XdsSnapshot& snapshot) { saved_.push_back(snapshot); },
    });
  }

  void Note(const XdsRequest& request) {
    constexpr std::array kNames = {"CDS", "EDS", "LDS", "RDS"};
    std::string text = kNames[static_cast<size_t>(request.type)];
    for (const std::string& name : request.subscribe) absl::StrAppend(&text, " +", name);
    for (const std::string& name : request.unsubscribe) absl::StrAppend(&text, " -", name);
    for (const auto& [name, version] : request.initial_versions) {
      absl::StrAppend(&text, " ", name, "=", version);
    }
    if (!request.response_nonce.empty()) {
      absl::StrAppend(&text, request.error ? " NACK " : " ACK ", request.response_nonce);
    }
    if (request.error) absl::StrAppend(&text, " ", *request.error);
    sent_.push_back(text);
  }

  template <class Message>
  void Push(XdsType type, const std::string& name, const Message& message) {
    XdsUpdate update;
    update.type = type;
    update.nonce = absl::StrCat(++nonce_);
    update.resources[name] = {absl::StrCat("v", nonce_), AnyBytes(message)};
    updater_.OnUpdate(update);
  }
  void Remove(XdsType type, const std::string& name) {
    XdsUpdate update;
    update.type = type;
    update.nonce = absl::StrCat(++nonce_);
    update.removed = {name};
    updater_.OnUpdate(update);
  }
  void Run(int millis = 0) { loop_.Advance(Millis{millis}); }
  std::vector<std::string> Sent() { return std::exchange(sent_, {}); }

  // One app behind one listener.
  void Establish() {
    updater_.OnConnected();
    Push(XdsType::kCluster, "web", GoodCluster());
    Run();
    Push(XdsType::kEndpoints, "web", GoodEndpoints());
    Run();
    Push(XdsType::kListener, "default", GoodListener());
    Run();
    Push(XdsType::kRoute, "default", GoodRoutes());
    Run();
    EXPECT_THAT(Sent(), ElementsAre("CDS", "LDS", "EDS +web", "CDS ACK 1", "EDS ACK 2",
                                    "RDS +default", "LDS ACK 3", "RDS ACK 4"));
  }

  ManualExecutor loop_;
  DataPlane data_plane_{DataPlaneConfig()};
  FakeDataPlane& fake_ = FakeDataPlane::Of(data_plane_);
  TableUpdater updater_{loop_, data_plane_};
  std::vector<std::string> sent_;
  std::vector<XdsSnapshot> saved_;
  int switched_ = 0;
  int nonce_ = 0;
};

TEST_F(TableUpdaterTest, BuildsATableFromTheFourKinds) {
  Establish();
  const ProxyTable& table = *updater_.table();
  ASSERT_THAT(table.listeners, SizeIs(1));
  EXPECT_EQ(table.listeners[0].port, 8080);
  EXPECT_EQ(table.routes.at("default").virtual_hosts[0].routes[0].cluster, "web");
  EXPECT_EQ(table.clusters.at("web")->endpoints[0].assignment, "web.1-aaaa");
  EXPECT_EQ(table.version, 4u);
  EXPECT_EQ(switched_, 4);
  EXPECT_EQ(updater_.source(), TableUpdater::Source::kController);
}

TEST_F(TableUpdaterTest, AcknowledgesOnlyWhenAllWorkersSwitched) {
  Establish();
  fake_.HoldSwitches(true);
  Push(XdsType::kEndpoints, "web", GoodEndpoints());
  Run(60'000);
  EXPECT_THAT(Sent(), IsEmpty());
  fake_.FinishSwitch();
  Run();
  EXPECT_THAT(Sent(), ElementsAre("EDS ACK 5"));
}

TEST_F(TableUpdaterTest, UpdatesDuringASwitchShareTheNextTable) {
  Establish();
  const size_t before = fake_.tables_set();
  fake_.HoldSwitches(true);
  Push(XdsType::kEndpoints, "web", GoodEndpoints());   // 5
  Push(XdsType::kCluster, "api", GoodCluster("api"));  // 6
  Push(XdsType::kRoute, "default", GoodRoutes());      // 7
  Run();
  EXPECT_EQ(fake_.tables_set(), before + 1);
  EXPECT_THAT(Sent(), ElementsAre("EDS +api"));  // at once: the server may wait for it
  fake_.FinishSwitch();
  Run();
  EXPECT_THAT(Sent(), ElementsAre("EDS ACK 5"));
  EXPECT_EQ(fake_.tables_set(), before + 2);
  fake_.FinishSwitch();
  Run();
  EXPECT_THAT(Sent(), ElementsAre("CDS ACK 6", "RDS ACK 7"));
}

TEST_F(TableUpdaterTest, ABadUpdateIsRefusedAndTheLastGoodOneStays) {
  Establish();
  auto bad = GoodCluster();
  bad.set_lb_policy(xds_cluster::Cluster::CLUSTER_PROVIDED);
  Push(XdsType::kCluster, "web", bad);
  Run();
  EXPECT_THAT(Sent(),
              ElementsAre("CDS NACK 5 cluster web: lb_policy: CLUSTER_PROVIDED is not supported "
                          "(use LEAST_REQUEST, ROUND_ROBIN, RANDOM, RING_HASH or MAGLEV)"));
  EXPECT_EQ(updater_.nacks_total(), 1u);
  EXPECT_EQ(fake_.tables_set(), 4u);
  EXPECT_EQ(updater_.table()->clusters.at("web")->lb_policy, LbPolicy::kLeastRequest);
}

TEST_F(TableUpdaterTest, RemovedClustersLeaveTheTable) {
  Establish();
  Remove(XdsType::kCluster, "web");
  Run();
  EXPECT_THAT(Sent(), ElementsAre("EDS -web", "CDS ACK 5"));
  EXPECT_THAT(updater_.table()->clusters, IsEmpty());
}

TEST_F(TableUpdaterTest, ATakenAddressIsRefusedAndTriedAgain) {
  Establish();
  fake_.SetTaken("127.0.0.1:9090", true);
  Push(XdsType::kListener, "default", GoodListener("default", 9090));
  Run();
  EXPECT_THAT(Sent(), ElementsAre("LDS NACK 5 listener default: cannot listen on 127.0.0.1:9090: "
                                  "address already in use"));
  EXPECT_EQ(updater_.table()->listeners[0].port, 8080);  // goes on where it is
  EXPECT_THAT(updater_.ListenErrors(), SizeIs(1));
  Run(5'000);
  EXPECT_EQ(updater_.table()->listeners[0].port, 8080);
  fake_.SetTaken("127.0.0.1:9090", false);
  Run(1'000);
  EXPECT_EQ(updater_.table()->listeners[0].port, 9090);
  EXPECT_THAT(updater_.ListenErrors(), IsEmpty());
  const size_t calls = fake_.prepare_calls();
  Run(60'000);
  EXPECT_EQ(fake_.prepare_calls(), calls);  // no more tries
}

TEST_F(TableUpdaterTest, ANewerListenerReplacesTheOneThatWaits) {
  Establish();
  fake_.SetTaken("127.0.0.1:9090", true);
  Push(XdsType::kListener, "default", GoodListener("default", 9090));
  Push(XdsType::kListener, "default", GoodListener("default", 9091));
  fake_.SetTaken("127.0.0.1:9090", false);
  Run(5'000);
  EXPECT_EQ(updater_.table()->listeners[0].port, 9091);
}

TEST_F(TableUpdaterTest, TwoListenersOnOneAddressAreRefused) {
  Establish();
  Push(XdsType::kListener, "other", GoodListener("other", 8080));
  Run();
  EXPECT_THAT(Sent(), ElementsAre("LDS NACK 5 listener other: address: 127.0.0.1:8080 is that of "
                                  "listener default"));
}

TEST_F(TableUpdaterTest, AReconnectTellsVersionsOnlyWhenTheyRun) {
  Establish();
  fake_.HoldSwitches(true);
  Push(XdsType::kEndpoints, "web", GoodEndpoints());
  Run();
  updater_.OnDisconnected();
  updater_.OnConnected();
  Run(10'000);
  EXPECT_THAT(Sent(), IsEmpty());
  fake_.FinishSwitch();
  Run();
  EXPECT_THAT(Sent(), ElementsAre("CDS web=v1", "EDS +web web=v5", "LDS default=v3",
                                  "RDS +default default=v4"));
}

TEST_F(TableUpdaterTest, SavesAtMostTenTimesASecond) {
  Establish();
  Run(1'000);
  saved_.clear();
  for (int i = 0; i < 100; ++i) {
    Push(XdsType::kEndpoints, "web", GoodEndpoints());
    Run(5);
  }
  Run(1'000);
  EXPECT_GE(saved_.size(), 5u);
  EXPECT_LE(saved_.size(), 7u);
  EXPECT_EQ(saved_.back().of(XdsType::kEndpoints).at("web").version, "v104");
}

TEST_F(TableUpdaterTest, StartsFromASnapshotWithoutAServer) {
  Establish();
  Run(1'000);
  DataPlane other_plane{DataPlaneConfig()};
  TableUpdater other(loop_, other_plane);
  XdsSnapshot snapshot = saved_.back();
  snapshot.of(XdsType::kCluster)["broken"] = {"1", "garbage"};
  other.Restore(snapshot);
  Run();
  ASSERT_NE(other.table(), nullptr);
  EXPECT_EQ(other.source(), TableUpdater::Source::kFile);
  EXPECT_THAT(other.table()->listeners, SizeIs(1));
  EXPECT_THAT(other.table()->clusters, SizeIs(1));
  EXPECT_THAT(other.table()->clusters.at("web")->endpoints, SizeIs(1));
}

TEST_F(TableUpdaterTest, AListenerOfTheSnapshotWaitsForItsAddressToo) {
  Establish();
  Run(1'000);
  DataPlane other_plane{DataPlaneConfig()};
  FakeDataPlane& other_fake = FakeDataPlane::Of(other_plane);
  other_fake.SetTaken("127.0.0.1:8080", true);
  TableUpdater other(loop_, other_plane);
  other.Restore(saved_.back());
  Run();
  EXPECT_THAT(other.table()->listeners, IsEmpty());
  EXPECT_EQ(other.ListenErrors().at("default"),
            "listener default: cannot listen on 127.0.0.1:8080: address already in use");
  Run(10'000);
  other_fake.SetTaken("127.0.0.1:8080", false);
  Run(1'000);
  EXPECT_THAT(other.table()->listeners, SizeIs(1));
  EXPECT_THAT(other.ListenErrors(), IsEmpty());
}

}  // namespace
}  // namespace pando::proxy
