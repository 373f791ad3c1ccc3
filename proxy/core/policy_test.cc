// Slots, slow start, errors as load, and the policies that look at more than what is in flight.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "proxy/core/load.h"
#include "proxy/core/outlier.h"
#include "proxy/core/peak_ewma.h"
#include "proxy/core/picker.h"

namespace pando::proxy {
namespace {

using Counts = std::map<uint32_t, int>;
using std::chrono::milliseconds;
using std::chrono::seconds;

const Instant kStart = Instant() + std::chrono::hours(1);

std::shared_ptr<Cluster> MakeCluster(LbPolicy policy, int endpoints) {
  auto cluster = std::make_shared<Cluster>();
  cluster->lb_policy = policy;
  for (int i = 0; i < endpoints; ++i) {
    Endpoint endpoint;
    endpoint.counters = std::make_shared<EndpointCounters>();
    cluster->endpoints.push_back(std::move(endpoint));
  }
  return cluster;
}

ClusterPicker::Context At(Instant now, uint32_t slots = 0) {
  ClusterPicker::Context context;
  context.now = now;
  context.slots = slots;
  return context;
}

Counts PickMany(ClusterPicker& picker, int times, const ClusterPicker::Context& context) {
  Counts counts;
  for (int i = 0; i < times; ++i) ++counts[picker.Pick(context).index.value()];
  return counts;
}

const LbPolicy kAll[] = {LbPolicy::kLeastRequest, LbPolicy::kRoundRobin, LbPolicy::kRandom,
                         LbPolicy::kPeakEwma,     LbPolicy::kRingHash,   LbPolicy::kMaglev,
                         LbPolicy::kSticky};

TEST(PolicyTest, NoneGivesAnEndpointMoreThanItsSlots) {
  for (const LbPolicy policy : kAll) {
    SCOPED_TRACE(static_cast<int>(policy));
    auto cluster = MakeCluster(policy, 3);
    ClusterPicker picker(cluster, 3);
    Counts counts;
    for (int i = 0; i < 6; ++i) {
      const ClusterPicker::Picked picked = picker.Pick(At(kStart, 2));
      ASSERT_TRUE(picked.index.has_value());
      EXPECT_FALSE(picked.full);
      ++counts[*picked.index];
      ++cluster->endpoints[*picked.index].counters->slots_taken;
    }
    EXPECT_EQ(counts, (Counts{{0, 2}, {1, 2}, {2, 2}}));
    EXPECT_TRUE(picker.Pick(At(kStart, 2)).full);
    EXPECT_TRUE(picker.Pick(At(kStart, 0)).index.has_value()) << "no limit";
    --cluster->endpoints[1].counters->slots_taken;
    EXPECT_EQ(picker.Pick(At(kStart, 2)).index, 1u);
  }
}

TEST(PolicyTest, ANewEndpointGetsItsShareLittleByLittle) {
  for (const LbPolicy policy : {LbPolicy::kRoundRobin, LbPolicy::kRandom}) {
    SCOPED_TRACE(static_cast<int>(policy));
    auto cluster = MakeCluster(policy, 2);
    cluster->slow_start = seconds(10);
    const auto share = [&](Instant now) {
      ClusterPicker picker(cluster, 3, {kStart - seconds(60), kStart});
      return PickMany(picker, 11'000, At(now))[1] / 11'000.0;
    };
    EXPECT_NEAR(share(kStart), 1.0 / 11, 0.02);              // a tenth against one
    EXPECT_NEAR(share(kStart + seconds(5)), 1.0 / 3, 0.02);  // a half against one
    EXPECT_NEAR(share(kStart + seconds(10)), 0.5, 0.02);
  }
}

TEST(PolicyTest, SlowStartHoldsForLeastRequestToo) {
  auto cluster = MakeCluster(LbPolicy::kLeastRequest, 2);
  cluster->slow_start = seconds(10);
  ClusterPicker picker(cluster, 3, {kStart - seconds(60), kStart});
  cluster->endpoints[0].counters->in_flight = 5;
  EXPECT_EQ(PickMany(picker, 10, At(kStart)), (Counts{{0, 10}})) << "a tenth counts tenfold";
  EXPECT_EQ(PickMany(picker, 10, At(kStart + seconds(10))), (Counts{{1, 10}}));
}

// Of as many requests as the other one has in hand a new endpoint gets a tenth at first.
TEST(PolicyTest, SlowStartHoldsForEveryPolicy) {
  for (const LbPolicy policy : kAll) {
    for (const int endpoints : {2, 100}) {  // also beyond where two are compared instead of all
      SCOPED_TRACE(testing::Message() << static_cast<int>(policy) << " of " << endpoints);
      auto cluster = MakeCluster(policy, endpoints);
      cluster->slow_start = seconds(10);
      std::vector<Instant> ready(static_cast<size_t>(endpoints), kStart - seconds(60));
      ready.back() = kStart;
      for (size_t i = 0; i < cluster->endpoints.size(); ++i) {
        Endpoint& endpoint = cluster->endpoints[i];
        endpoint.instance = "web." + std::to_string(i);
        endpoint.counters->in_flight = 3;
        PeakEwma::Observe(*endpoint.counters, milliseconds(10), kStart);
      }
      const auto newcomer = static_cast<uint32_t>(endpoints - 1);
      const auto share = [&](Instant now) {
        ClusterPicker picker(cluster, 3, ready);
        ClusterPicker::Context context = At(now);
        constexpr int kRequests = 20'000;
        int given = 0;
        for (uint64_t key = 0; key < kRequests; ++key) {
          // A sticky request that has a cookie already goes where that says.
          if (policy == LbPolicy::kRingHash || policy == LbPolicy::kMaglev) context.hash = key;
          given += picker.Pick(context).index == newcomer ? 1 : 0;
        }
        return given * static_cast<double>(endpoints) / kRequests;  // 1: like any other
      };
      EXPECT_LT(share(kStart), 0.35);
      EXPECT_NEAR(share(kStart + seconds(10)), 1, 0.3);
    }
  }
}

// An endpoint that fails at once has nothing in flight, and still must not attract traffic.
TEST(PolicyTest, ErrorsCountAsLoad) {
  auto cluster = MakeCluster(LbPolicy::kLeastRequest, 4);
  ClusterPicker picker(cluster, 3);
  for (int i = 1; i < 4; ++i) cluster->endpoints[i].counters->in_flight = 3;
  Counts counts;
  Instant now = kStart;
  for (int i = 0; i < 4'000; ++i) {
    now += milliseconds(1);
    const uint32_t picked = picker.Pick(At(now)).index.value();
    ++counts[picked];
    if (picked == 0) AddErrorLoad(*cluster->endpoints[0].counters, now);
  }
  EXPECT_LT(counts[0], 40) << "of 4000, and 1000 would be its share";
  EXPECT_GT(counts[0], 4) << "or nobody would notice that it is well again";
  now += seconds(10);
  EXPECT_EQ(picker.Pick(At(now)).index, 0u) << "forgiven";
}

TEST(PeakEwmaTest, PrefersTheQuickerAndForgetsAPeak) {
  auto cluster = MakeCluster(LbPolicy::kPeakEwma, 2);
  ClusterPicker picker(cluster, 3);
  PeakEwma::Observe(*cluster->endpoints[0].counters, milliseconds(40), kStart);
  PeakEwma::Observe(*cluster->endpoints[1].counters, milliseconds(10), kStart);
  EXPECT_EQ(PickMany(picker, 50, At(kStart)), (Counts{{1, 50}}));
  cluster->endpoints[1].counters->in_flight = 4;  // five times 10 ms are more than once 40 ms
  EXPECT_EQ(PickMany(picker, 50, At(kStart)), (Counts{{0, 50}}));
  cluster->endpoints[1].counters->in_flight = 0;
  // The slow one is asked again although nobody asked it meanwhile.
  Instant now = kStart;
  for (int i = 0; i < 300; ++i) {
    now += milliseconds(100);
    PeakEwma::Observe(*cluster->endpoints[1].counters, milliseconds(10), now);
  }
  EXPECT_EQ(picker.Pick(At(now)).index, 0u);
}

TEST(PeakEwmaTest, AsksWhomItKnowsNothingOfOneThingAtATime) {
  auto cluster = MakeCluster(LbPolicy::kPeakEwma, 2);
  ClusterPicker picker(cluster, 3);
  EndpointCounters& known = *cluster->endpoints[0].counters;
  EndpointCounters& fresh = *cluster->endpoints[1].counters;
  PeakEwma::Observe(known, milliseconds(10), kStart);
  known.in_flight = 5;
  EXPECT_EQ(PickMany(picker, 50, At(kStart)), (Counts{{1, 50}})) << "it is tried";
  fresh.in_flight = 1;
  EXPECT_EQ(PickMany(picker, 50, At(kStart)), (Counts{{0, 50}})) << "but not by everybody at once";
  // So is one that was slow long ago.
  PeakEwma::Observe(fresh, seconds(5), kStart);
  const Instant later = kStart + seconds(120);
  PeakEwma::Observe(known, milliseconds(10), later);
  fresh.in_flight = 0;
  EXPECT_EQ(PickMany(picker, 50, At(later)), (Counts{{1, 50}}));
  fresh.in_flight = 1;
  EXPECT_EQ(PickMany(picker, 50, At(later)), (Counts{{0, 50}}));
  // Where nothing is known of anybody the one with less to do is asked.
  auto unknown = MakeCluster(LbPolicy::kPeakEwma, 2);
  ClusterPicker among_unknown(unknown, 3);
  unknown->endpoints[0].counters->in_flight = 2;
  unknown->endpoints[1].counters->in_flight = 1;
  EXPECT_EQ(PickMany(among_unknown, 50, At(kStart)), (Counts{{1, 50}}));
}

TEST(PeakEwmaTest, FollowsAPeakAtOnceAndComesDownSlowly) {
  EndpointCounters counters;
  PeakEwma::Observe(counters, milliseconds(10), kStart);
  PeakEwma::Observe(counters, milliseconds(100), kStart + milliseconds(1));
  EXPECT_FLOAT_EQ(counters.latency_micros, 100'000);
  PeakEwma::Observe(counters, milliseconds(10), kStart + milliseconds(2));
  EXPECT_GT(counters.latency_micros, 99'000);
  PeakEwma::Observe(counters, milliseconds(10), kStart + seconds(30));
  EXPECT_LT(counters.latency_micros, 16'000);
}

}  // namespace
}  // namespace pando::proxy
