// Consistent hashing: the same key, the same endpoint; few keys move; no endpoint is overrun.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "proxy/core/picker.h"
#include "proxy/core/request_key.h"
#include "proxy/core/stable_hash.h"

namespace pando::proxy {
namespace {

constexpr uint64_t kKeys = 10'000;

std::shared_ptr<Cluster> MakeCluster(LbPolicy policy, const std::vector<int>& slots) {
  auto cluster = std::make_shared<Cluster>();
  cluster->lb_policy = policy;
  for (const int slot : slots) {
    Endpoint endpoint;
    endpoint.instance = absl::StrCat("web.", slot);
    endpoint.counters = std::make_shared<EndpointCounters>();
    cluster->endpoints.push_back(std::move(endpoint));
  }
  return cluster;
}

std::string Pick(ClusterPicker& picker, const Cluster& cluster, uint64_t key) {
  ClusterPicker::Context context;
  context.hash = key;
  return cluster.endpoints[picker.Pick(context).index.value()].instance;
}

std::map<uint64_t, std::string> PickAll(const std::shared_ptr<Cluster>& cluster, uint64_t seed) {
  ClusterPicker picker(cluster, seed);
  std::map<uint64_t, std::string> chosen;
  for (uint64_t key = 0; key < kKeys; ++key) chosen[key] = Pick(picker, *cluster, key);
  return chosen;
}

class HashPolicyTest : public testing::TestWithParam<LbPolicy> {};

TEST_P(HashPolicyTest, IsTheSameInEveryProxyAndWhateverTheOrder) {
  EXPECT_EQ(PickAll(MakeCluster(GetParam(), {1, 2, 3, 4, 5}), 1),
            PickAll(MakeCluster(GetParam(), {5, 3, 1, 4, 2}), 99));
}

TEST_P(HashPolicyTest, SpreadsKeysEvenlyAndByWeight) {
  auto cluster = MakeCluster(GetParam(), {1, 2, 3, 4});
  cluster->endpoints[3].weight = 3;
  std::map<std::string, int> counts;
  for (const auto& [key, instance] : PickAll(cluster, 1)) ++counts[instance];
  for (const char* light : {"web.1", "web.2", "web.3"}) EXPECT_NEAR(counts[light], 1'667, 350);
  EXPECT_NEAR(counts["web.4"], 5'000, 500);
}

TEST_P(HashPolicyTest, MovesLittleMoreThanTheKeysOfTheOneThatLeft) {
  const auto before = PickAll(MakeCluster(GetParam(), {1, 2, 3, 4, 5, 6, 7, 8}), 1);
  const auto after = PickAll(MakeCluster(GetParam(), {1, 2, 3, 4, 6, 7, 8}), 1);
  int moved = 0;
  for (const auto& [key, instance] : before) {
    if (instance != "web.5" && after.at(key) != instance) ++moved;
  }
  EXPECT_LT(moved, kKeys / 20);
}

TEST_P(HashPolicyTest, AnEndpointWithTooMuchPassesItsKeysOn) {
  auto cluster = MakeCluster(GetParam(), {1, 2, 3, 4});
  ClusterPicker picker(cluster, 1);
  const std::string own = Pick(picker, *cluster, 7);
  for (Endpoint& endpoint : cluster->endpoints) {
    endpoint.counters->in_flight = endpoint.instance == own ? 20 : 2;
  }
  const std::string other = Pick(picker, *cluster, 7);
  EXPECT_NE(other, own);
  EXPECT_EQ(Pick(picker, *cluster, 7), other) << "always the same substitute";
  cluster->hash_balance_percent = 0;
  EXPECT_EQ(Pick(picker, *cluster, 7), own) << "unless there is no bound";
}

TEST_P(HashPolicyTest, RequestsWithoutAKeyGoAnywhere) {
  auto cluster = MakeCluster(GetParam(), {1, 2, 3});
  ClusterPicker picker(cluster, 1);
  std::map<uint32_t, int> counts;
  for (int i = 0; i < 3'000; ++i) ++counts[picker.Pick({}).index.value()];
  for (const auto& [index, count] : counts) EXPECT_NEAR(count, 1'000, 150);
  EXPECT_EQ(counts.size(), 3u);
}

INSTANTIATE_TEST_SUITE_P(Both, HashPolicyTest,
                         testing::Values(LbPolicy::kRingHash, LbPolicy::kMaglev));

TEST(StickyTest, ReturnsToTheEndpointTheCookieNamesAsLongAsItMayBeUsed) {
  auto cluster = MakeCluster(LbPolicy::kSticky, {1, 2, 3});
  ClusterPicker picker(cluster, 1);
  const uint64_t id = EndpointHash(cluster->endpoints[1]);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Pick(picker, *cluster, id), "web.2");
  cluster->endpoints[1].health = EndpointHealth::kDraining;
  ClusterPicker without(cluster, 1);
  EXPECT_NE(Pick(without, *cluster, id), "web.2");
  EXPECT_NE(Pick(picker, *cluster, 12345), "") << "an id of nobody";
}

RequestHead HeadWith(std::vector<std::pair<std::string_view, std::string_view>> fields) {
  RequestHead head;
  for (const auto& [name, value] : fields) {
    HeaderField field;
    field.name = name;
    field.value = value;
    head.fields.push_back(field);
  }
  return head;
}

TEST(RequestKeyTest, TakesTheKeyFromWhereItIsSaidToBe) {
  const RequestHead head =
      HeadWith({{"X-User", "ann"}, {"Cookie", "a=1; sid=xyz;b=2"}, {"cookie", "late=5"}});
  using Kind = HashSource::Kind;
  const auto key = [&](Kind kind, std::string name) {
    HashSource source;
    source.kind = kind;
    source.name = std::move(name);
    return RequestKey(source, false, head, "10.0.0.1");
  };
  EXPECT_EQ(key(Kind::kHeader, "x-user"), StableHash("ann"));
  EXPECT_EQ(key(Kind::kHeader, "x-other"), std::nullopt);
  EXPECT_EQ(key(Kind::kCookie, "sid"), StableHash("xyz"));
  EXPECT_EQ(key(Kind::kCookie, "late"), StableHash("5"));
  EXPECT_EQ(key(Kind::kCookie, "si"), std::nullopt);
  EXPECT_EQ(key(Kind::kSourceAddress, ""), StableHash("10.0.0.1"));
  EXPECT_EQ(key(Kind::kNone, ""), std::nullopt);
}

TEST(RequestKeyTest, AStickyCookieIsAnEndpointsIdOrNothing) {
  Endpoint endpoint;
  endpoint.instance = "web.3";
  HashSource source;
  source.kind = HashSource::Kind::kCookie;
  source.name = "pando";
  const std::string id = StickyId(endpoint);
  EXPECT_EQ(id.size(), 16u);
  EXPECT_EQ(RequestKey(source, true, HeadWith({{"Cookie", "pando=" + id}}), ""),
            EndpointHash(endpoint));
  for (const char* other : {"pando=zebra", "pando=12g", "pando=", "x=1"}) {
    EXPECT_EQ(RequestKey(source, true, HeadWith({{"Cookie", other}}), ""), std::nullopt) << other;
  }
}

}  // namespace
}  // namespace pando::proxy
