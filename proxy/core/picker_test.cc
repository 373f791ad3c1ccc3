#include "proxy/core/picker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

namespace pando::proxy {
namespace {

using Counts = std::map<uint32_t, int>;

std::shared_ptr<Cluster> MakeCluster(LbPolicy policy, int endpoints) {
  auto cluster = std::make_shared<Cluster>();
  cluster->name = "web";
  cluster->lb_policy = policy;
  for (int i = 0; i < endpoints; ++i) {
    Endpoint endpoint;
    endpoint.counters = std::make_shared<EndpointCounters>();
    cluster->endpoints.push_back(std::move(endpoint));
  }
  return cluster;
}

void SetInFlight(Cluster& cluster, const std::vector<uint32_t>& in_flight) {
  for (size_t i = 0; i < in_flight.size(); ++i) {
    cluster.endpoints[i].counters->in_flight = in_flight[i];
  }
}

Counts PickMany(ClusterPicker& picker, int times, ClusterPicker::Context context = {}) {
  Counts counts;
  for (int i = 0; i < times; ++i) ++counts[picker.Pick(context).index.value()];
  return counts;
}

TEST(PickerTest, NobodyToPick) {
  for (LbPolicy policy : {LbPolicy::kLeastRequest, LbPolicy::kRoundRobin, LbPolicy::kRandom}) {
    auto cluster = MakeCluster(policy, 0);
    EXPECT_EQ(ClusterPicker(cluster, 1).Pick({}).index, std::nullopt);
    cluster = MakeCluster(policy, 1);
    cluster->endpoints[0].health = EndpointHealth::kDraining;
    EXPECT_EQ(ClusterPicker(cluster, 1).Pick({}).index, std::nullopt);
  }
}

TEST(PickerTest, PrefersHealthyThenSuspectThenAvoided) {
  for (LbPolicy policy : {LbPolicy::kLeastRequest, LbPolicy::kRoundRobin, LbPolicy::kRandom}) {
    auto cluster = MakeCluster(policy, 4);
    cluster->endpoints[0].health = EndpointHealth::kDraining;
    cluster->endpoints[1].health = EndpointHealth::kSuspect;
    ClusterPicker picker(cluster, 7);
    EXPECT_THAT(PickMany(picker, 20),
                testing::UnorderedElementsAre(testing::Key(2u), testing::Key(3u)));
    const std::vector<uint8_t> avoid = {0, 0, 1, 0};
    EXPECT_EQ(PickMany(picker, 20, {.exclude = {}, .avoid = avoid, .hash = {}}), (Counts{{3, 20}}));
    std::vector<const EndpointCounters*> tried = {cluster->endpoints[3].counters.get()};
    EXPECT_EQ(PickMany(picker, 20, {.exclude = tried, .avoid = {}, .hash = {}}), (Counts{{2, 20}}));
    EXPECT_EQ(PickMany(picker, 20, {.exclude = tried, .avoid = avoid, .hash = {}}),
              (Counts{{1, 20}}));
    tried.push_back(cluster->endpoints[1].counters.get());
    EXPECT_EQ(PickMany(picker, 20, {.exclude = tried, .avoid = avoid, .hash = {}}),
              (Counts{{2, 20}}));
    tried.push_back(cluster->endpoints[2].counters.get());
    EXPECT_EQ(picker.Pick({.exclude = tried, .avoid = avoid, .hash = {}}).index, std::nullopt);
  }
}

TEST(PickerTest, TakesSpareOnesAfterAllWhenNoOtherIsLeft) {
  auto cluster = MakeCluster(LbPolicy::kRoundRobin, 3);
  ClusterPicker picker(cluster, 7);
  const auto counters = [&](size_t i) { return cluster->endpoints[i].counters.get(); };
  const std::vector<const EndpointCounters*> tried = {counters(0), counters(1), counters(2)};
  ClusterPicker::Context context;
  context.exclude = std::span(tried).first(2);
  context.spare = 1;
  EXPECT_EQ(PickMany(picker, 20, context), (Counts{{2, 20}})) << "not while another is left";
  context.slots = 1;
  cluster->endpoints[2].counters->slots_taken = 1;
  EXPECT_TRUE(picker.Pick(context).full) << "nor while another is only full";
  context.exclude = tried;
  EXPECT_EQ(picker.Pick(context).full, true) << "the spare one is full now";
  context.spare = 2;
  EXPECT_EQ(picker.Pick(context).index, 1u);
  context.spare = 0;
  EXPECT_EQ(picker.Pick(context).index, std::nullopt);
  EXPECT_FALSE(picker.Pick(context).full);
}

TEST(RoundRobinTest, TakesTurns) {
  ClusterPicker picker(MakeCluster(LbPolicy::kRoundRobin, 3), 5);
  EXPECT_EQ(PickMany(picker, 300), (Counts{{0, 100}, {1, 100}, {2, 100}}));
}

TEST(RoundRobinTest, FollowsWeightsEvenly) {
  auto cluster = MakeCluster(LbPolicy::kRoundRobin, 3);
  cluster->endpoints[1].weight = 3;
  ClusterPicker picker(cluster, 5);
  EXPECT_EQ(PickMany(picker, 5), (Counts{{0, 1}, {1, 3}, {2, 1}}));
  EXPECT_EQ(PickMany(picker, 500), (Counts{{0, 100}, {1, 300}, {2, 100}}));
}

TEST(RandomChoiceTest, FollowsWeights) {
  auto cluster = MakeCluster(LbPolicy::kRandom, 3);
  cluster->endpoints[2].weight = 2;
  ClusterPicker picker(cluster, 5);
  Counts counts = PickMany(picker, 40'000);
  EXPECT_NEAR(counts[0], 10'000, 500);
  EXPECT_NEAR(counts[1], 10'000, 500);
  EXPECT_NEAR(counts[2], 20'000, 500);
}

TEST(LeastRequestTest, PicksTheLeastLoadedAndTakesTurnsAmongEquals) {
  auto cluster = MakeCluster(LbPolicy::kLeastRequest, 4);
  ClusterPicker picker(cluster, 5);
  SetInFlight(*cluster, {3, 1, 2, 1});
  EXPECT_EQ(PickMany(picker, 100), (Counts{{1, 50}, {3, 50}}));
  SetInFlight(*cluster, {0, 1, 2, 1});
  EXPECT_EQ(PickMany(picker, 100), (Counts{{0, 100}}));
  SetInFlight(*cluster, {0, 0, 0, 0});
  EXPECT_EQ(PickMany(picker, 100), (Counts{{0, 25}, {1, 25}, {2, 25}, {3, 25}}));
}

TEST(LeastRequestTest, CountsLoadByWeight) {
  auto cluster = MakeCluster(LbPolicy::kLeastRequest, 2);
  cluster->endpoints[1].weight = 4;
  ClusterPicker picker(cluster, 5);
  SetInFlight(*cluster, {0, 2});
  EXPECT_EQ(PickMany(picker, 10), (Counts{{1, 10}}));
  SetInFlight(*cluster, {0, 5});
  EXPECT_EQ(PickMany(picker, 10), (Counts{{0, 10}}));
}

TEST(LeastRequestTest, ChoosesTheBetterOfTwoAmongMany) {
  constexpr int kEndpoints = 100;
  auto cluster = MakeCluster(LbPolicy::kLeastRequest, kEndpoints);
  for (int i = 0; i < kEndpoints; ++i) {
    cluster->endpoints[i].counters->in_flight = static_cast<uint32_t>(i);
  }
  ClusterPicker picker(cluster, 5);
  Counts counts = PickMany(picker, 100'000);
  EXPECT_EQ(counts.count(kEndpoints - 1), 0u) << "the most loaded one never wins";
  // Of two picks at random rank r (from the best) wins with (2(n-r)-1) / n(n-1).
  EXPECT_NEAR(counts[0], 2'000, 250);
  EXPECT_NEAR(counts[50], 990, 200);
}

// Of four, the last is of another revision, which gets so many percent.
std::shared_ptr<Cluster> SplitCluster(LbPolicy policy, uint32_t percent) {
  auto cluster = MakeCluster(policy, 4);
  for (Endpoint& endpoint : cluster->endpoints) endpoint.revision = "1";
  cluster->endpoints[3].revision = "2";
  cluster->split = {"2", percent};
  return cluster;
}

TEST(SplitTest, ARevisionGetsItsShareWhateverThePolicy) {
  for (LbPolicy policy : {LbPolicy::kLeastRequest, LbPolicy::kRoundRobin, LbPolicy::kRandom,
                          LbPolicy::kPeakEwma, LbPolicy::kSticky}) {
    for (const uint32_t percent : {0u, 1u, 5u, 50u, 99u, 100u}) {
      SCOPED_TRACE(testing::Message() << static_cast<int>(policy) << " " << percent);
      ClusterPicker picker(SplitCluster(policy, percent), 11);
      constexpr int kPicks = 100'000;
      const double share = percent / 100.0;
      // Five standard deviations of a binomial distribution.
      EXPECT_NEAR(PickMany(picker, kPicks)[3], kPicks * share,
                  5 * std::sqrt(kPicks * share * (1 - share)));
    }
  }
}

TEST(SplitTest, KeysBelongToOneSide) {
  for (LbPolicy policy : {LbPolicy::kRingHash, LbPolicy::kMaglev}) {
    ClusterPicker picker(SplitCluster(policy, 20), 11);
    int fresh = 0;
    for (uint64_t key = 0; key < 10'000; ++key) {
      const auto first = picker.Pick({.exclude = {}, .avoid = {}, .hash = key}).index.value();
      EXPECT_EQ(picker.Pick({.exclude = {}, .avoid = {}, .hash = key}).index.value(), first);
      fresh += first == 3;
    }
    EXPECT_NEAR(fresh, 2'000, 200);
  }
}

TEST(SplitTest, ASideWithoutAnybodyLeavesItsShareToTheOther) {
  auto cluster = SplitCluster(LbPolicy::kLeastRequest, 50);
  cluster->endpoints[3].health = EndpointHealth::kDraining;
  ClusterPicker none_fresh(cluster, 3);
  EXPECT_EQ(PickMany(none_fresh, 300).count(3), 0u);
  cluster = SplitCluster(LbPolicy::kLeastRequest, 0);
  for (int i = 0; i < 3; ++i) cluster->endpoints[i].health = EndpointHealth::kDraining;
  ClusterPicker only_fresh(cluster, 3);
  EXPECT_EQ(PickMany(only_fresh, 300), (Counts{{3, 300}}));
  // One that fails is not insisted on.
  cluster = SplitCluster(LbPolicy::kLeastRequest, 50);
  const std::vector<uint8_t> avoid = {0, 0, 0, 1};
  ClusterPicker picker(cluster, 3);
  EXPECT_EQ(PickMany(picker, 300, {.exclude = {}, .avoid = avoid, .hash = {}}).count(3), 0u);
  const std::vector<const EndpointCounters*> tried = {cluster->endpoints[3].counters.get()};
  EXPECT_EQ(PickMany(picker, 300, {.exclude = tried, .avoid = {}, .hash = {}}).count(3), 0u);
}

TEST(SplitTest, WhoIsForTheRestWaitsForItAndWhoIsForTheRevisionDoesNot) {
  auto cluster = SplitCluster(LbPolicy::kLeastRequest, 50);
  ClusterPicker picker(cluster, 3);
  ClusterPicker::Context one_slot;
  one_slot.slots = 1;
  for (int i = 0; i < 3; ++i) cluster->endpoints[i].counters->slots_taken = 1;
  int waits = 0;
  for (int i = 0; i < 1'000; ++i) {
    const auto picked = picker.Pick(one_slot);
    EXPECT_EQ(picked.index.value_or(3), 3u);
    EXPECT_NE(picked.index.has_value(), picked.full);
    waits += picked.full;
  }
  EXPECT_NEAR(waits, 500, 100);
  for (int i = 0; i < 3; ++i) cluster->endpoints[i].counters->slots_taken = 0;
  cluster->endpoints[3].counters->slots_taken = 1;
  for (int i = 0; i < 100; ++i) EXPECT_LT(picker.Pick(one_slot).index.value(), 3u);
}

TEST(PickerTest, SpreadsWithoutABestStart) {
  // Many workers with a new table each: their first picks must not all be the same.
  auto cluster = MakeCluster(LbPolicy::kLeastRequest, 4);
  Counts first;
  for (uint64_t seed = 0; seed < 400; ++seed)
    ++first[ClusterPicker(cluster, seed).Pick({}).index.value()];
  for (const auto& [index, count] : first) EXPECT_NEAR(count, 100, 40);
  EXPECT_EQ(first.size(), 4u);
}

}  // namespace
}  // namespace pando::proxy
