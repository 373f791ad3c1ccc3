#include "controller/core/delta_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace pando::controller {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr auto kCluster = ResourceType::kCluster;
constexpr auto kEndpoints = ResourceType::kEndpoints;
constexpr auto kListener = ResourceType::kListener;
constexpr auto kRoute = ResourceType::kRoute;

using Names = std::vector<std::string>;

std::string Text(const DeltaResponse& response) {
  std::string text =
      absl::StrCat(std::array{"CDS", "EDS", "LDS", "RDS"}[static_cast<int>(response.type)]);
  for (const auto& item : response.resources) {
    absl::StrAppend(&text, " ", item.name, "=", item.body->version);
  }
  for (const std::string& name : response.removed) absl::StrAppend(&text, " -", name);
  return text;
}

// A stream and its client's side of the conversation, with responses as text: "CDS a=1 -b".
class DeltaStreamTest : public ::testing::Test {
 protected:
  void Put(ResourceType type, const std::string& name, const std::string& version,
           uint64_t generation = 0) {
    set_.Put(type, name, {version, "bytes", generation});
  }

  DeltaProgress Ask(ResourceType type, Names subscribe, Names unsubscribe = {},
                    std::map<std::string, std::string> initial = {}) {
    DeltaRequest request;
    request.type = type;
    request.subscribe = std::move(subscribe);
    request.unsubscribe = std::move(unsubscribe);
    request.initial_versions = std::move(initial);
    return stream_.OnRequest(request);
  }

  // Answers the newest response of the type.
  DeltaProgress Ack(ResourceType type, std::optional<std::string> error = std::nullopt) {
    DeltaRequest request;
    request.type = type;
    request.response_nonce = nonces_[type];
    unanswered_[type] = false;
    request.error = std::move(error);
    return stream_.OnRequest(request);
  }

  Names Take() {
    Names texts;
    for (const DeltaResponse& response : stream_.TakeResponses()) {
      nonces_[response.type] = response.nonce;
      unanswered_[response.type] = true;
      texts.push_back(Text(response));
    }
    return texts;
  }

  // Acknowledges everything until nothing comes any more.
  Names Drain() {
    Names all;
    for (Names step = Take(); !step.empty(); step = Take()) {
      for (ResourceType type : kResourceTypes) {
        if (!std::exchange(unanswered_[type], false)) continue;
        Ack(type);
      }
      all.insert(all.end(), step.begin(), step.end());
    }
    return all;
  }

  // Cluster a behind route r behind listener l, all with the client.
  void Establish() {
    Put(kCluster, "a", "1");
    Put(kEndpoints, "a", "1", 1);
    Put(kListener, "l", "1");
    Put(kRoute, "r", "1");
    Ask(kCluster, {});
    Ask(kEndpoints, {"a"});
    Ask(kListener, {});
    Ask(kRoute, {"r"});
    EXPECT_THAT(Drain(), ElementsAre("CDS a=1", "EDS a=1", "LDS l=1", "RDS r=1"));
  }

  ResourceSet set_;
  DeltaStream stream_{set_, 100};
  std::map<ResourceType, std::string> nonces_;
  std::map<ResourceType, bool> unanswered_;
};

TEST(ResourceSetTest, TellsWhetherContentChanged) {
  ResourceSet set;
  EXPECT_TRUE(set.Put(kEndpoints, "a", {"1", "x", 1}));
  const uint64_t revision = set.revision();
  EXPECT_FALSE(set.Put(kEndpoints, "a", {"1", "x", 1}));
  EXPECT_EQ(set.revision(), revision);
  EXPECT_FALSE(set.Put(kEndpoints, "a", {"1", "x", 2}));
  EXPECT_EQ(set.Find(kEndpoints, "a")->generation, 2u);
  EXPECT_TRUE(set.Put(kEndpoints, "a", {"2", "y", 3}));
  EXPECT_TRUE(set.Remove(kEndpoints, "a"));
  EXPECT_FALSE(set.Remove(kEndpoints, "a"));
  EXPECT_EQ(set.Find(kEndpoints, "a"), nullptr);
}

TEST_F(DeltaStreamTest, FirstRequestWithoutNamesIsAWildcard) {
  Put(kCluster, "a", "1");
  Put(kCluster, "b", "1");
  Ask(kCluster, {});
  EXPECT_THAT(Take(), ElementsAre("CDS a=1 b=1"));
  Ack(kCluster);
  Ask(kCluster, {"a"});  // does not end the wildcard
  Put(kCluster, "c", "1");
  EXPECT_THAT(Drain(), ElementsAre("CDS a=1 c=1"));
  Ask(kCluster, {}, {"*"});
  Put(kCluster, "a", "2");
  Put(kCluster, "b", "2");
  EXPECT_THAT(Drain(), ElementsAre("CDS a=2"));
}

TEST_F(DeltaStreamTest, EndpointsAndRoutesHaveNoLegacyWildcard) {
  Put(kEndpoints, "a", "1");
  Ask(kEndpoints, {});
  EXPECT_THAT(Take(), IsEmpty());
  Ask(kEndpoints, {"*"});
  EXPECT_THAT(Take(), ElementsAre("EDS a=1"));
}

TEST_F(DeltaStreamTest, ExplicitNamesGetOnlyThose) {
  Put(kCluster, "a", "1");
  Put(kCluster, "b", "1");
  Ask(kCluster, {"b"});
  EXPECT_THAT(Drain(), ElementsAre("CDS b=1"));
  Put(kCluster, "a", "2");
  EXPECT_THAT(Take(), IsEmpty());
}

TEST_F(DeltaStreamTest, SubscribingAgainSendsAgain) {
  Put(kCluster, "a", "1");
  Ask(kCluster, {"a"});
  EXPECT_THAT(Drain(), ElementsAre("CDS a=1"));
  Ask(kCluster, {"a"});
  EXPECT_THAT(Drain(), ElementsAre("CDS a=1"));
  EXPECT_THAT(Take(), IsEmpty());
}

TEST_F(DeltaStreamTest, UnknownNamesAreRemovedAtOnce) {
  Put(kCluster, "a", "1");
  Ask(kCluster, {"a", "nosuch"});
  EXPECT_THAT(Drain(), ElementsAre("CDS a=1 -nosuch"));
  Ask(kRoute, {"nosuch"});
  EXPECT_THAT(Drain(), ElementsAre("RDS -nosuch"));
  Put(kRoute, "nosuch", "1");  // and they come when they come to be
  EXPECT_THAT(Drain(), ElementsAre("RDS nosuch=1"));
}

TEST_F(DeltaStreamTest, EndpointsOfAKnownClusterAreAwaitedInSilence) {
  Put(kCluster, "a", "1");
  Ask(kEndpoints, {"a", "b"});
  EXPECT_THAT(Drain(), ElementsAre("EDS -b"));
  Put(kEndpoints, "a", "1");
  EXPECT_THAT(Drain(), ElementsAre("EDS a=1"));
}

TEST_F(DeltaStreamTest, ARestartedControllerTakesNoEndpointsAway) {
  Put(kCluster, "a", "1");
  Ask(kCluster, {}, {}, {{"a", "1"}});
  Ask(kEndpoints, {"a"}, {}, {{"a", "1"}});
  Ask(kListener, {});
  EXPECT_THAT(Drain(), IsEmpty());
  Put(kEndpoints, "a", "1", 7);
  EXPECT_THAT(Drain(), IsEmpty());
  EXPECT_THAT(stream_.TakeCaughtUp(), ElementsAre(Pair("a", 7)));
}

TEST_F(DeltaStreamTest, UnsubscribingUnderAWildcardIsAnsweredWithTheResource) {
  Put(kCluster, "a", "1");
  Ask(kCluster, {"*", "a", "b"});
  EXPECT_THAT(Drain(), ElementsAre("CDS a=1 -b"));
  Ask(kCluster, {}, {"a"});
  EXPECT_THAT(Drain(), ElementsAre("CDS a=1"));
  Ask(kCluster, {}, {"b"});
  EXPECT_THAT(Drain(), ElementsAre("CDS -b"));
}

TEST_F(DeltaStreamTest, UnsubscribingOtherwiseIsNotAnswered) {
  Put(kCluster, "a", "1");
  Ask(kCluster, {"a"});
  Drain();
  Ask(kCluster, {}, {"a"});
  Put(kCluster, "a", "2");
  EXPECT_THAT(Take(), IsEmpty());
}

TEST_F(DeltaStreamTest, InitialVersionsAreHonouredInTheFirstRequestOnly) {
  Put(kListener, "same", "1");
  Put(kListener, "newer", "2");
  Ask(kListener, {}, {}, {{"same", "1"}, {"newer", "1"}, {"gone", "1"}});
  EXPECT_THAT(Drain(), ElementsAre("LDS newer=2", "LDS -gone"));
  Ask(kListener, {}, {}, {{"newer", "1"}});
  EXPECT_THAT(Take(), IsEmpty());
}

TEST_F(DeltaStreamTest, OneResponseIsInFlightAndNewerContentReplacesUnsent) {
  Put(kCluster, "a", "1");
  Ask(kCluster, {});
  EXPECT_THAT(Take(), ElementsAre("CDS a=1"));
  Put(kCluster, "a", "2");
  EXPECT_THAT(Take(), IsEmpty());
  Put(kCluster, "a", "3");
  EXPECT_THAT(Take(), IsEmpty());
  Ack(kCluster);
  EXPECT_THAT(Take(), ElementsAre("CDS a=3"));
}

TEST_F(DeltaStreamTest, AStaleNonceAcknowledgesNothingButItsSubscriptionsCount) {
  Put(kCluster, "a", "1");
  Put(kCluster, "b", "1");
  Ask(kCluster, {"a"});
  EXPECT_THAT(Take(), ElementsAre("CDS a=1"));
  DeltaRequest stale;
  stale.type = kCluster;
  stale.response_nonce = "0";
  stale.subscribe = {"b"};
  stale.error = "old";
  EXPECT_EQ(stream_.OnRequest(stale).nack, std::nullopt);
  EXPECT_THAT(Take(), IsEmpty());
  Ack(kCluster);
  EXPECT_THAT(Take(), ElementsAre("CDS b=1"));
}

TEST_F(DeltaStreamTest, ARefusedVersionIsNotSentAgainButANewerOneIs) {
  Put(kCluster, "a", "1");
  Ask(kCluster, {});
  Drain();
  Put(kCluster, "a", "2");
  Take();
  EXPECT_EQ(Ack(kCluster, "no such policy").nack, "cluster: no such policy");
  EXPECT_THAT(Take(), IsEmpty());
  Put(kCluster, "a", "3");
  EXPECT_THAT(Drain(), ElementsAre("CDS a=3"));
}

TEST_F(DeltaStreamTest, TakingARefusedVersionBackIsTold) {
  Put(kListener, "l", "1");
  Ask(kListener, {});
  Drain();
  Put(kListener, "l", "2");
  Take();
  Ack(kListener, "address in use");
  Put(kListener, "l", "1");  // what the client runs, but it may still try to get "2" to work
  EXPECT_THAT(Drain(), ElementsAre("LDS l=1"));
  Put(kListener, "new", "1");
  Take();
  Ack(kListener, "address in use");
  set_.Remove(kListener, "new");
  EXPECT_THAT(Drain(), ElementsAre("LDS -new"));
  EXPECT_THAT(Take(), IsEmpty());
}

TEST_F(DeltaStreamTest, ARefusalIsOverOnceNothingRefusedIsLeft) {
  Put(kListener, "l", "1");
  Put(kCluster, "a", "1");
  Ask(kListener, {});
  Ask(kCluster, {});
  Drain();
  Put(kListener, "l", "2");
  Take();
  EXPECT_FALSE(Ack(kListener, "address in use").nack_over);
  Put(kCluster, "a", "2");  // other news do not end it
  Take();
  EXPECT_FALSE(Ack(kCluster).nack_over);
  Put(kListener, "l", "1");
  Take();
  EXPECT_TRUE(Ack(kListener).nack_over);
  Put(kListener, "new", "1");
  Take();
  EXPECT_FALSE(Ack(kListener, "address in use").nack_over);
  set_.Remove(kListener, "new");
  Take();
  EXPECT_FALSE(Ask(kListener, {"l"}).nack_over);  // the removal is under way
  EXPECT_TRUE(Ack(kListener).nack_over);
}

TEST_F(DeltaStreamTest, AcksReportTheGenerationThatWasSent) {
  Put(kEndpoints, "a", "1", 5);
  Ask(kEndpoints, {"a"});
  Take();
  EXPECT_THAT(stream_.TakeCaughtUp(), IsEmpty());
  Put(kEndpoints, "a", "2", 6);
  EXPECT_THAT(Ack(kEndpoints).acked_endpoints, ElementsAre(Pair("a", 5)));
  EXPECT_THAT(stream_.TakeCaughtUp(), IsEmpty());
  EXPECT_THAT(Take(), ElementsAre("EDS a=2"));
  EXPECT_THAT(Ack(kEndpoints).acked_endpoints, ElementsAre(Pair("a", 6)));
  EXPECT_THAT(stream_.TakeCaughtUp(), IsEmpty());
}

TEST_F(DeltaStreamTest, EqualContentOfALaterGenerationIsCaughtUp) {
  Put(kEndpoints, "a", "1", 5);
  Ask(kEndpoints, {"a"});
  Take();
  Put(kEndpoints, "a", "1", 6);
  EXPECT_THAT(stream_.TakeCaughtUp(), IsEmpty());  // not acknowledged yet
  EXPECT_THAT(Ack(kEndpoints).acked_endpoints, ElementsAre(Pair("a", 5)));
  EXPECT_THAT(stream_.TakeCaughtUp(), ElementsAre(Pair("a", 6)));
  EXPECT_THAT(stream_.TakeCaughtUp(), IsEmpty());
  Put(kEndpoints, "a", "1", 7);
  EXPECT_THAT(Take(), IsEmpty());
  EXPECT_THAT(stream_.TakeCaughtUp(), ElementsAre(Pair("a", 7)));
}

TEST_F(DeltaStreamTest, RefusedEndpointsAreNeverReported) {
  Put(kEndpoints, "a", "1", 5);
  Ask(kEndpoints, {"a"});
  Drain();
  Put(kEndpoints, "a", "2", 6);
  Take();
  EXPECT_THAT(Ack(kEndpoints, "bad").acked_endpoints, IsEmpty());
  EXPECT_THAT(stream_.TakeCaughtUp(), IsEmpty());
}

TEST_F(DeltaStreamTest, EndpointsFollowAChangedCluster) {
  Establish();
  Put(kCluster, "a", "2");
  EXPECT_THAT(Drain(), ElementsAre("CDS a=2", "EDS a=1"));
}

TEST_F(DeltaStreamTest, EndpointsFollowAClusterThatChangedWhileAway) {
  Put(kCluster, "a", "2");
  Put(kEndpoints, "a", "1");
  Ask(kCluster, {}, {}, {{"a", "1"}});
  EXPECT_THAT(Take(), ElementsAre("CDS a=2"));
  Ask(kEndpoints, {"a"}, {}, {{"a", "1"}});
  EXPECT_THAT(Take(), IsEmpty());
  Ack(kCluster);
  EXPECT_THAT(Take(), ElementsAre("EDS a=1"));
}

TEST_F(DeltaStreamTest, ARouteWaitsForItsClusterAndTheClustersFirstEndpoints) {
  Establish();
  Put(kCluster, "b", "1");
  Put(kEndpoints, "b", "1");
  Put(kRoute, "r", "2");
  EXPECT_THAT(Take(), ElementsAre("CDS b=1"));
  Ask(kEndpoints, {"b"});
  EXPECT_THAT(Take(), IsEmpty());
  Ack(kCluster);
  EXPECT_THAT(Take(), ElementsAre("EDS b=1"));
  Ack(kEndpoints);
  EXPECT_THAT(Take(), ElementsAre("RDS r=2"));
}

TEST_F(DeltaStreamTest, EndpointsThatChangeAllTheTimeDoNotHoldUpRoutes) {
  Establish();
  Put(kEndpoints, "a", "2", 2);
  EXPECT_THAT(Take(), ElementsAre("EDS a=2"));
  Put(kEndpoints, "a", "3", 3);
  Put(kRoute, "r", "2");
  EXPECT_THAT(Take(), ElementsAre("RDS r=2"));
}

TEST_F(DeltaStreamTest, ARouteWaitsForItsListener) {
  Establish();
  Put(kListener, "l", "2");
  Put(kRoute, "r", "2");
  EXPECT_THAT(Take(), ElementsAre("LDS l=2"));
  Ack(kListener);
  EXPECT_THAT(Take(), ElementsAre("RDS r=2"));
}

TEST_F(DeltaStreamTest, AClusterGoesOnlyAfterTheRouteLeftIt) {
  Establish();
  set_.Remove(kCluster, "a");
  set_.Remove(kEndpoints, "a");
  Put(kRoute, "r", "2");
  EXPECT_THAT(Take(), ElementsAre("RDS r=2"));
  EXPECT_THAT(Take(), IsEmpty());
  Ack(kRoute);
  EXPECT_THAT(Take(), ElementsAre("CDS -a"));
  EXPECT_THAT(Take(), IsEmpty());
  Ack(kCluster);
  EXPECT_THAT(Take(), ElementsAre("EDS -a"));
  Ack(kEndpoints);
  EXPECT_THAT(Take(), IsEmpty());
}

TEST_F(DeltaStreamTest, ASwapAddsRepointsRemoves) {
  Establish();
  Put(kCluster, "b", "1");
  set_.Remove(kCluster, "a");
  Put(kRoute, "r", "2");
  EXPECT_THAT(Drain(), ElementsAre("CDS b=1", "RDS r=2", "CDS -a"));
}

TEST_F(DeltaStreamTest, AClusterStaysWhileTheRouteThatLeavesItIsRefused) {
  Establish();
  set_.Remove(kCluster, "a");
  Put(kRoute, "r", "2");
  Take();
  Ack(kRoute, "bad");
  EXPECT_THAT(Take(), IsEmpty());
  Put(kRoute, "r", "3");
  EXPECT_THAT(Drain(), ElementsAre("RDS r=3", "CDS -a"));
}

TEST_F(DeltaStreamTest, ARouteTableGoesAfterItsListener) {
  Establish();
  set_.Remove(kListener, "l");
  set_.Remove(kRoute, "r");
  set_.Remove(kCluster, "a");
  EXPECT_THAT(Drain(), ElementsAre("LDS -l", "RDS -r", "CDS -a"));
}

TEST_F(DeltaStreamTest, AReturningClientKeepsGoneClustersUntilItsRoutesAreKnown) {
  Put(kListener, "l", "1");
  Put(kRoute, "r", "2");
  Ask(kCluster, {}, {}, {{"a", "1"}});
  EXPECT_THAT(Take(), IsEmpty());
  Ask(kEndpoints, {"a"}, {}, {{"a", "1"}});
  EXPECT_THAT(Take(), IsEmpty());
  Ask(kListener, {}, {}, {{"l", "1"}});
  EXPECT_THAT(Take(), IsEmpty());
  Ask(kRoute, {"r"}, {}, {{"r", "1"}});
  EXPECT_THAT(Drain(), ElementsAre("RDS r=2", "CDS -a", "EDS -a"));
}

TEST_F(DeltaStreamTest, LargeAnswersAreSplit) {
  for (const char* name : {"a", "b", "c"}) {
    set_.Put(kCluster, name, {"1", std::string(40, 'x'), 0});
  }
  set_.Put(kCluster, "d", {"1", std::string(400, 'x'), 0});
  Ask(kCluster, {});
  EXPECT_THAT(Take(), ElementsAre("CDS a=1"));
  EXPECT_THAT(Take(), IsEmpty());
  Ack(kCluster);
  EXPECT_THAT(Drain(), ElementsAre("CDS b=1", "CDS c=1", "CDS d=1"));
}

TEST_F(DeltaStreamTest, AResourceRemovedAndPutBackBeforeTheAnswerComesBack) {
  Establish();
  set_.Remove(kListener, "l");
  EXPECT_THAT(Take(), ElementsAre("LDS -l"));
  Put(kListener, "l", "1");
  EXPECT_THAT(Take(), IsEmpty());
  Ack(kListener);
  EXPECT_THAT(Drain(), ElementsAre("LDS l=1"));
}

// ---- against a model client ----

// Keeps what it is sent and subscribes like Envoy: clusters and listeners by wildcard, endpoints by
// the clusters it has, routes by the listeners it has. A route's bytes name its clusters.
class ModelClient {
 public:
  struct Resource {
    std::string version;
    std::string bytes;
  };

  std::vector<DeltaRequest> Connect() {
    std::vector<DeltaRequest> requests;
    for (ResourceType type : kResourceTypes) {
      DeltaRequest request;
      request.type = type;
      for (const auto& [name, resource] : held(type)) {
        request.initial_versions[name] = resource.version;
      }
      if (type == kEndpoints) request.subscribe = Keys(kCluster);
      if (type == kRoute) request.subscribe = Keys(kListener);
      if ((type == kEndpoints || type == kRoute) && request.subscribe.empty()) continue;
      requests.push_back(request);
    }
    return requests;
  }

  // The requests that answer it: subscriptions first, then the ACK.
  std::vector<DeltaRequest> OnResponse(const DeltaResponse& response, bool refuse) {
    std::vector<DeltaRequest> requests;
    DeltaRequest answer;
    answer.type = response.type;
    answer.response_nonce = response.nonce;
    if (refuse) {
      answer.error = "refused";
      requests.push_back(answer);
      return requests;
    }
    auto& resources = held_[static_cast<size_t>(response.type)];
    DeltaRequest follow;
    follow.type = response.type == kCluster ? kEndpoints : kRoute;
    for (const auto& item : response.resources) {
      if (!resources.contains(item.name)) follow.subscribe.push_back(item.name);
      resources[item.name] = {item.body->version, item.body->any_bytes};
    }
    for (const std::string& name : response.removed) {
      if (resources.erase(name) == 0) continue;
      follow.unsubscribe.push_back(name);
      if (response.type == kCluster) held_[static_cast<size_t>(kEndpoints)].erase(name);
      if (response.type == kListener) held_[static_cast<size_t>(kRoute)].erase(name);
    }
    const bool follows = response.type == kCluster || response.type == kListener;
    if (follows && !(follow.subscribe.empty() && follow.unsubscribe.empty())) {
      requests.push_back(follow);
    }
    requests.push_back(answer);
    return requests;
  }

  const std::map<std::string, Resource>& held(ResourceType type) const {
    return held_[static_cast<size_t>(type)];
  }

  // A cluster some route leads to although the client does not have it.
  std::optional<std::string> DanglingRoute() const {
    for (const auto& [name, route] : held(kRoute)) {
      for (const std::string& cluster :
           std::vector<std::string>(absl::StrSplit(route.bytes, ',', absl::SkipEmpty()))) {
        if (!held(kCluster).contains(cluster)) return absl::StrCat(name, " -> ", cluster);
      }
    }
    return std::nullopt;
  }

 private:
  Names Keys(ResourceType type) const {
    Names names;
    for (const auto& [name, resource] : held(type)) names.push_back(name);
    return names;
  }

  std::array<std::map<std::string, Resource>, 4> held_;
};

class Simulation {
 public:
  explicit Simulation(uint32_t seed) : rng_(seed) { Connect(); }

  void Run(int steps) {
    refusals_allowed_ = true;
    for (int i = 0; i < steps; ++i) Step();
  }

  // No more changes: everything refused is replaced, then both sides talk until silent.
  void Settle() {
    for (const auto& [type, name] : refused_) {
      if (const auto body = set_.Find(type, name)) {
        set_.Put(type, name, {absl::StrCat("s", ++versions_), body->any_bytes, ++generation_});
      }
    }
    refused_.clear();
    refusals_allowed_ = false;
    for (int i = 0; i < 10'000; ++i) {
      Publish();
      if (to_client_.empty() && to_server_.empty()) break;
      Deliver();
    }
  }

  void ExpectConverged() const {
    for (ResourceType type : kResourceTypes) {
      SCOPED_TRACE(static_cast<int>(type));
      std::map<std::string, std::string> want, got;
      for (const auto& [name, body] : set_.all(type)) want[name] = body->version;
      for (const auto& [name, resource] : client_.held(type)) got[name] = resource.version;
      EXPECT_EQ(got, want);
    }
    for (const auto& [name, body] : set_.all(kEndpoints)) {
      const auto acked = acked_.find(name);
      ASSERT_NE(acked, acked_.end()) << name;
      EXPECT_EQ(acked->second, body->generation) << name;
    }
  }

 private:
  bool OneIn(uint32_t n) { return rng_() % n == 0; }
  std::string ClusterName() { return absl::StrCat("c", rng_() % 5); }

  void Step() {
    switch (rng_() % 8) {
      case 0:
        ChangeRoutes();
        break;
      case 1: {
        const std::string name = ClusterName();
        if (set_.Find(kCluster, name) != nullptr) PutEndpoints(name);
        break;
      }
      case 2: {
        const std::string name = ClusterName();
        if (set_.Find(kCluster, name) != nullptr && OneIn(4)) PutCluster(name);
        break;
      }
      case 3:
        if (OneIn(10)) Connect();
        break;
      default:
        Deliver();
    }
    if (OneIn(2)) Publish();
  }

  // The wanted clusters, routes and listeners change together, like an app that comes or goes.
  void ChangeRoutes() {
    std::set<std::string> wanted;
    while (OneIn(2)) wanted.insert(ClusterName());
    for (const std::string& name : wanted) {
      if (set_.Find(kCluster, name) == nullptr) {
        PutCluster(name);
        PutEndpoints(name);
      }
    }
    // The route table is named like its listener; now and then there is none.
    if (OneIn(6)) {
      set_.Remove(kListener, "l");
      set_.Remove(kRoute, "l");
    } else {
      if (set_.Find(kListener, "l") == nullptr || OneIn(4)) {
        set_.Put(kListener, "l", {absl::StrCat(++versions_), "", 0});
      }
      set_.Put(kRoute, "l", {absl::StrCat(++versions_), absl::StrJoin(wanted, ","), 0});
    }
    for (int i = 0; i < 5; ++i) {
      const std::string name = absl::StrCat("c", i);
      if (wanted.contains(name)) continue;
      set_.Remove(kCluster, name);
      set_.Remove(kEndpoints, name);
    }
  }

  void PutCluster(const std::string& name) {
    set_.Put(kCluster, name, {absl::StrCat(++versions_), "", 0});
  }

  void PutEndpoints(const std::string& name) {
    // Few versions, so that equal content comes back under a later generation.
    set_.Put(kEndpoints, name, {absl::StrCat("e", rng_() % 3), "", ++generation_});
  }

  void Connect() {
    stream_ = std::make_unique<DeltaStream>(set_, 60);
    to_client_.clear();
    to_server_.clear();
    acked_.clear();
    for (DeltaRequest& request : client_.Connect()) to_server_.push_back(std::move(request));
  }

  void Publish() {
    for (DeltaResponse& response : stream_->TakeResponses()) {
      to_client_.push_back(std::move(response));
    }
    for (const auto& [name, generation] : stream_->TakeCaughtUp()) acked_[name] = generation;
  }

  void Deliver() {
    const bool client_side = to_server_.empty() || (!to_client_.empty() && OneIn(2));
    if (client_side) {
      if (to_client_.empty()) return;
      const DeltaResponse response = std::move(to_client_.front());
      to_client_.pop_front();
      const bool refuse = MayRefuse(response) && OneIn(8);
      if (refuse) {
        for (const auto& item : response.resources) refused_.insert({response.type, item.name});
      }
      for (DeltaRequest& request : client_.OnResponse(response, refuse)) {
        to_server_.push_back(std::move(request));
      }
      EXPECT_EQ(client_.DanglingRoute(), std::nullopt);
      return;
    }
    const DeltaRequest request = std::move(to_server_.front());
    to_server_.pop_front();
    const DeltaProgress progress = stream_->OnRequest(request);
    EXPECT_EQ(progress.nack.has_value(), request.error.has_value());
    for (const auto& [name, generation] : progress.acked_endpoints) {
      EXPECT_GE(generation, acked_[name]);
      acked_[name] = generation;
    }
    if (OneIn(3)) Publish();
  }

  // A client that refuses a new cluster has no way to take the route to it.
  bool MayRefuse(const DeltaResponse& response) {
    if (!refusals_allowed_ || response.resources.empty()) return false;
    for (const auto& item : response.resources) {
      if (response.type == kCluster && !client_.held(kCluster).contains(item.name)) return false;
    }
    return true;
  }

  std::mt19937 rng_;
  ResourceSet set_;
  std::unique_ptr<DeltaStream> stream_;
  ModelClient client_;
  std::deque<DeltaResponse> to_client_;
  std::deque<DeltaRequest> to_server_;
  std::map<std::string, uint64_t> acked_;
  std::set<std::pair<ResourceType, std::string>> refused_;
  bool refusals_allowed_ = false;
  uint64_t versions_ = 0;
  uint64_t generation_ = 0;
};

TEST(DeltaStreamSimulation, ConvergesAndNeverLeavesARouteWithoutItsCluster) {
  for (uint32_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(seed);
    Simulation simulation(seed);
    for (int round = 0; round < 3; ++round) {
      simulation.Run(300);
      simulation.Settle();
      simulation.ExpectConverged();
    }
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace pando::controller
