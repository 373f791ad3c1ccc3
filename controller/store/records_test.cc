#include "controller/store/records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "controller/store/memory_store.h"

namespace pando::controller {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

v1::AppSpec FullSpec() {
  v1::AppSpec spec;
  spec.set_name("web");
  spec.add_command("node");
  spec.add_command("server.js");
  spec.set_dir("/srv/web");
  (*spec.mutable_env())["B"] = "2";
  (*spec.mutable_env())["A"] = "1";
  spec.set_replicas(3);
  spec.mutable_health()->set_kind(v1::HealthCheck::HTTP);
  spec.mutable_health()->set_path("/healthz");
  spec.mutable_health()->set_interval_ms(1000);
  spec.mutable_health()->set_timeout_ms(500);
  spec.mutable_health()->set_healthy_threshold(1);
  spec.mutable_health()->set_unhealthy_threshold(3);
  spec.mutable_health()->set_startup_ms(20'000);
  spec.mutable_route()->add_hosts("a.example");
  spec.mutable_route()->add_hosts("*.b.example");
  spec.mutable_route()->set_path("/web");
  spec.mutable_load_balancing()->set_policy(v1::LoadBalancing::ROUND_ROBIN);
  spec.mutable_stop()->set_signal("SIGTERM");
  spec.mutable_stop()->set_grace_ms(10'000);
  spec.mutable_stop()->set_drain_ms(15'000);
  spec.mutable_resources()->set_cpu_millis(500);
  spec.mutable_resources()->set_memory_bytes(64 << 20);
  (*spec.mutable_placement()->mutable_labels())["disk"] = "ssd";
  spec.mutable_restart()->set_backoff_initial_ms(100);
  spec.mutable_restart()->set_backoff_max_ms(30'000);
  spec.mutable_restart()->set_reset_after_ms(10'000);
  return spec;
}

App FullApp() {
  App app;
  app.id = AppId{"web"};
  app.revision = 7;
  app.replicas = 8;
  app.spec_replicas = 0;
  app.stopped = true;
  app.generation = 300;
  app.removing = true;
  app.rollout = {
      .from = 6, .done = false, .step = 1, .paused = true, .failed = 5, .failure = "5xx"};
  app.rollout.loads[6] = {.requests = 1'000, .errors = 3, .latency = {900, 100}};
  app.rollout.loads[7] = {.requests = 50, .errors = 2, .latency = {1}};
  return app;
}

App SmallApp() {
  App app;
  app.id = AppId{"w"};
  app.revision = 1;
  return app;
}

Assignment FullAssignment() {
  return {AssignmentId{"web.3-k7f2q9xa"}, AppId{"web"}, 3, 7, NodeId{"node-1"}, Wish::kDrain, true};
}

Revision RevisionOf(uint32_t number) {
  return {.app = AppId{"web"},
          .number = number,
          .config = ToRevisionConfig(FullSpec()),
          .reason = "apply",
          .origin = {"", 1'700'000'000'000}};
}

Revision BadRevision() {
  Revision revision = RevisionOf(11);
  revision.origin = {"ana@laptop", 1'600'000'000'000};
  revision.result = ReleaseResult::kRolledBack;
  revision.result_detail = "it crashes";
  return revision;
}

v1::EventRecord EventOf(uint64_t sequence) {
  v1::EventRecord event;
  event.set_sequence(sequence);
  event.set_time_unix_ms(1'700'000'000'000);
  event.set_kind("scaled");
  event.set_app("web");
  event.set_instance("web.3");
  event.set_node("node-1");
  event.set_message("2 -> 8");
  return event;
}

std::string Describe(const StoreWrite& write) {
  if (const auto* put = std::get_if<StorePut>(&write)) {
    return absl::StrCat("put ", put->key, " ", absl::BytesToHexString(put->value));
  }
  return absl::StrCat("delete ", std::get<StoreDelete>(write).key);
}

// The bytes on disk. A change here is a change of the format: old stores must still be read.
TEST(RecordsTest, BytesOfEveryRecordStayAsTheyAre) {
  struct Case {
    std::string name;
    Write write;
    std::string want;
  };
  const Case cases[] = {
      {"app", PutApp{FullApp()},
       "put app/web 0a03776562100718082000280130ac023801e2033f08061801200128053203357878"
       "3a18080610e8071803220f8407640000000000000000000000003a16080710321802220e01000000"
       "00000000000000000000"},
      {"app without a number in its spec", PutApp{SmallApp()}, "put app/w 0a017710011801"},
      {"app gone", DeleteApp{AppId{"web"}}, "delete app/web"},
      {"revision", PutRevision{RevisionOf(12)},
       "put rev/web/12 0a03776562100c1aa5010a0377656212046e6f646512097365727665722e6a732"
       "2082f7372762f7765622a060a01411201312a060a01421201323a1a080212082f6865616c74687a1"
       "8e80720f4032801300338a09c01421e0a09612e6578616d706c650a0b2a2e622e6578616d706c651"
       "2042f7765624a020802520f0a075349475445524d10904e1898755a0808f4031080808020620d0a0"
       "b0a046469736b12037373646a09086410b0ea0118904e2080d095ffbc312a056170706c79"},
      {"revision gone", DeleteRevision{AppId{"web"}, 12}, "delete rev/web/12"},
      {"assignment", PutAssignment{FullAssignment()},
       "put asg/web.3-k7f2q9xa 0a0e7765622e332d6b376632713978611203776562180320072a066e6"
       "f64652d3130023801"},
      {"assignment gone", DeleteAssignment{AssignmentId{"web.3-k7f2q9xa"}},
       "delete asg/web.3-k7f2q9xa"},
      {"node", PutNode{{NodeId{"node-1"}, "cafe", true}},
       "put node/node-1 0a066e6f64652d311204636166651801"},
      {"proxy", PutProxy{ProxyId{"edge-1"}}, "put proxy/edge-1 0a06656467652d31"},
      {"proxy gone", DeleteProxy{ProxyId{"edge-1"}}, "delete proxy/edge-1"},
      {"gateway", PutGateway{Gateway{}},
       "put gateway/default 0a150a0764656661756c741207302e302e302e3018903f"},
      {"gateway gone", DeleteGateway{"edge"}, "delete gateway/edge"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(Describe(ToStoreWrite(c.write, 1'700'000'000'000)), c.want);
  }
}

TEST(RecordsTest, BytesOfAnEventStayAsTheyAre) {
  const std::vector<StoreWrite> writes = ToStoreWrites(EventOf(42));
  ASSERT_THAT(writes, SizeIs(1));
  EXPECT_EQ(Describe(writes[0]),
            "put event/00000000000000000042 082a1080d095ffbc311a067363616c656422037765622a057"
            "765622e3332066e6f64652d313a0632202d3e2038");
}

TEST(RecordsTest, AnEventPushesOutTheOneThatIsTooOld) {
  EXPECT_THAT(ToStoreWrites(EventOf(kMaxEvents)), SizeIs(1));
  const std::vector<StoreWrite> writes = ToStoreWrites(EventOf(kMaxEvents + 1));
  ASSERT_THAT(writes, SizeIs(2));
  EXPECT_EQ(Describe(writes[1]), "delete event/00000000000000000001");
}

TEST(RecordsTest, AnEmptyStoreBecomesANewCluster) {
  MemoryStore store;
  const auto state = LoadState(store);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_THAT(state->record.cluster_id(), SizeIs(32));
  EXPECT_EQ(state->record.term(), 1u);
  EXPECT_EQ(state->next_event_sequence, 1u);
  EXPECT_THAT(state->cluster.gateways, ElementsAre(Gateway{}));
  EXPECT_THAT(state->cluster.apps, IsEmpty());
}

TEST(RecordsTest, EveryStartRaisesTheTermAndKeepsTheCluster) {
  MemoryStore store;
  const auto first = LoadState(store);
  const auto second = LoadState(store);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(second->record.cluster_id(), first->record.cluster_id());
  EXPECT_EQ(second->record.term(), 2u);
  EXPECT_THAT(second->cluster.gateways, SizeIs(1));
  v1::ClusterRecord stored;
  ASSERT_TRUE(stored.ParseFromString(store.Get("cluster")->value));
  EXPECT_EQ(stored.term(), 2u);
}

TEST(RecordsTest, WhatIsWrittenIsLoaded) {
  MemoryStore store;
  ASSERT_TRUE(LoadState(store).ok());
  Gateway gateway{"default", "127.0.0.1", 9000};
  gateway.tls = GatewayTls{{{"/a.pem", "/a.key"}, {"/b.pem", "/b.key"}}, true, 80, 443};
  const NodeRecord node{NodeId{"node-1"}, "cafe", true};
  std::vector<StoreWrite> writes;
  const std::vector<Write> changes = {PutApp{FullApp()},
                                      PutRevision{RevisionOf(10)},
                                      PutRevision{RevisionOf(2)},
                                      PutRevision{BadRevision()},
                                      PutAssignment{FullAssignment()},
                                      PutNode{node},
                                      PutProxy{ProxyId{"edge-1"}},
                                      PutGateway{gateway}};
  for (const Write& change : changes) writes.push_back(ToStoreWrite(change, 5));
  ASSERT_TRUE(store.Commit({}, writes).ok());

  auto state = LoadState(store);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_THAT(state->cluster.apps, ElementsAre(FullApp()));
  EXPECT_THAT(state->cluster.revisions, ElementsAre(RevisionOf(2), RevisionOf(10), BadRevision()));
  EXPECT_THAT(state->cluster.assignments, ElementsAre(FullAssignment()));
  EXPECT_THAT(state->cluster.nodes, ElementsAre(node));
  EXPECT_THAT(state->cluster.proxies, ElementsAre(ProxyId{"edge-1"}));
  EXPECT_THAT(state->cluster.gateways, ElementsAre(gateway));

  writes.clear();
  const std::vector<Write> removals = {DeleteApp{AppId{"web"}},
                                       DeleteRevision{AppId{"web"}, 10},
                                       DeleteRevision{AppId{"web"}, 2},
                                       DeleteRevision{AppId{"web"}, 11},
                                       DeleteAssignment{FullAssignment().id},
                                       DeleteProxy{ProxyId{"edge-1"}},
                                       DeleteGateway{gateway.name}};
  for (const Write& change : removals) writes.push_back(ToStoreWrite(change, 6));
  ASSERT_TRUE(store.Commit({}, writes).ok());
  state = LoadState(store);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_THAT(state->cluster.apps, IsEmpty());
  EXPECT_THAT(state->cluster.revisions, IsEmpty());
  EXPECT_THAT(state->cluster.assignments, IsEmpty());
  EXPECT_THAT(state->cluster.proxies, IsEmpty());
  EXPECT_THAT(state->cluster.gateways, IsEmpty());
  EXPECT_THAT(state->cluster.nodes, SizeIs(1));
}

TEST(RecordsTest, LoadsTheNewestEventsOldestFirst) {
  MemoryStore store;
  for (const uint64_t sequence : {8, 9, 10, 11}) {
    ASSERT_TRUE(store.Commit({}, ToStoreWrites(EventOf(sequence))).ok());
  }
  const auto newest = LoadEvents(store, 2);
  ASSERT_TRUE(newest.ok()) << newest.status();
  ASSERT_THAT(*newest, SizeIs(2));
  EXPECT_EQ((*newest)[0].sequence(), 10u);
  EXPECT_EQ((*newest)[1].sequence(), 11u);
  EXPECT_THAT(*LoadEvents(store, 0), SizeIs(4));
  EXPECT_EQ(LoadState(store)->next_event_sequence, 12u);
}

TEST(RecordsTest, NamesTheKeyThatCannotBeRead) {
  struct Case {
    std::string key;
    std::string value;
  };
  const Case cases[] = {
      {"app/web", "\xff"},
      {"rev/web/1", "\x0a"},
      {"asg/x", ""},                                       // no wish
      {"gateway/default", std::string(1, '\x0a') + '\0'},  // no port
      {"event/00000000000000000003", "\xff"},
      {"cluster", "\xff"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.key);
    MemoryStore store;
    ASSERT_TRUE(LoadState(store).ok());
    ASSERT_TRUE(store.Commit({}, {StorePut{c.key, c.value}}).ok());
    const auto state = LoadState(store);
    EXPECT_TRUE(absl::IsDataLoss(state.status())) << state.status();
    EXPECT_THAT(std::string(state.status().message()), HasSubstr(c.key));
  }
}

TEST(RecordsTest, AReleaseIsTheSpecWithoutItsReplicas) {
  const v1::AppSpec spec = FullSpec();
  v1::AppSpec other = spec;
  other.set_replicas(99);
  EXPECT_EQ(ToRevisionConfig(spec), ToRevisionConfig(other));
  other.set_dir("/srv/other");
  EXPECT_NE(ToRevisionConfig(spec), ToRevisionConfig(other));
}

TEST(RecordsTest, TheCoreGetsWhatItNeedsOfASpec) {
  const RevisionConfig config = ToRevisionConfig(FullSpec());
  EXPECT_THAT(config.hosts, ElementsAre("a.example", "*.b.example"));
  EXPECT_EQ(config.path, "/web");
  EXPECT_EQ(config.lb_policy, LbPolicy::kRoundRobin);
  EXPECT_EQ(config.drain_timeout, Millis{15'000});
  EXPECT_EQ(config.startup_timeout, Millis{20'000});
  EXPECT_EQ(config.node_labels, (std::map<std::string, std::string>{{"disk", "ssd"}}));
  EXPECT_EQ(config.cpu_millis, 500u);
  EXPECT_EQ(config.memory_bytes, uint64_t{64} << 20);
  const v1::AppSpec spec = ToAppSpec(config);
  EXPECT_FALSE(spec.has_replicas());
  EXPECT_EQ(spec.command(1), "server.js");
  EXPECT_EQ(spec.env().at("A"), "1");
}

TEST(RecordsTest, EqualSpecsHaveEqualPayloadsWhateverTheOrderOfTheirMaps) {
  v1::AppSpec forward, backward;
  for (int i = 0; i < 40; ++i) {
    (*forward.mutable_env())[absl::StrCat("K", i)] = "v";
    (*backward.mutable_env())[absl::StrCat("K", 39 - i)] = "v";
  }
  EXPECT_EQ(ToRevisionConfig(forward).payload, ToRevisionConfig(backward).payload);
}

}  // namespace
}  // namespace pando::controller
