#include "proxy/core/outlier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pando::proxy {
namespace {

using std::chrono::seconds;
const Instant kStart = Instant() + std::chrono::hours(1);

Cluster MakeCluster(int endpoints) {
  Cluster cluster;
  for (int i = 0; i < endpoints; ++i) {
    Endpoint endpoint;
    endpoint.counters = std::make_shared<EndpointCounters>();
    cluster.endpoints.push_back(std::move(endpoint));
  }
  return cluster;
}

EndpointCounters& Counters(Cluster& cluster, int i) { return *cluster.endpoints[i].counters; }

bool FailMany(Cluster& cluster, int i, int times, Instant now) {
  bool ejected = false;
  for (int n = 0; n < times; ++n) ejected |= NoteFailure(cluster, Counters(cluster, i), true, now);
  return ejected;
}

TEST(OutlierTest, FailuresInARowEjectForAWhile) {
  Cluster cluster = MakeCluster(4);
  EXPECT_FALSE(FailMany(cluster, 0, 4, kStart));
  EXPECT_TRUE(FailMany(cluster, 0, 1, kStart));
  EXPECT_TRUE(IsEjected(Counters(cluster, 0), kStart + seconds(4)));
  EXPECT_FALSE(IsEjected(Counters(cluster, 0), kStart + seconds(5)));
}

TEST(OutlierTest, ASuccessInBetweenStartsTheCountAnew) {
  Cluster cluster = MakeCluster(4);
  FailMany(cluster, 0, 4, kStart);
  NoteSuccess(Counters(cluster, 0));
  EXPECT_FALSE(FailMany(cluster, 0, 4, kStart));
  // So does an error the app itself answered with.
  EXPECT_FALSE(NoteFailure(cluster, Counters(cluster, 0), false, kStart));
  EXPECT_FALSE(FailMany(cluster, 0, 4, kStart));
}

TEST(OutlierTest, TheNextEjectionLastsTwiceAsLongUpToABound) {
  Cluster cluster = MakeCluster(4);
  Instant now = kStart;
  for (const int wanted : {5, 10, 20, 40, 60, 60}) {
    ASSERT_TRUE(FailMany(cluster, 0, 5, now));
    EXPECT_TRUE(IsEjected(Counters(cluster, 0), now + seconds(wanted) - Millis{1})) << wanted;
    now += seconds(wanted);
    EXPECT_FALSE(IsEjected(Counters(cluster, 0), now)) << wanted;
  }
  now += seconds(61);  // well for long
  ASSERT_TRUE(FailMany(cluster, 0, 5, now));
  EXPECT_FALSE(IsEjected(Counters(cluster, 0), now + seconds(5)));
}

TEST(OutlierTest, OnlyAShareIsEjectedAndNeverTheLast) {
  Cluster four = MakeCluster(4);
  EXPECT_TRUE(FailMany(four, 0, 5, kStart));
  EXPECT_TRUE(FailMany(four, 1, 5, kStart));
  EXPECT_FALSE(FailMany(four, 2, 5, kStart)) << "half of four is two";
  Cluster two = MakeCluster(2);
  EXPECT_TRUE(FailMany(two, 0, 5, kStart));
  EXPECT_FALSE(FailMany(two, 1, 5, kStart));
  Cluster one = MakeCluster(1);
  EXPECT_FALSE(FailMany(one, 0, 50, kStart));
}

TEST(OutlierTest, PanicsWhenTooFewAreLeft) {
  Cluster cluster = MakeCluster(4);
  cluster.outlier.max_ejected_percent = 100;
  FailMany(cluster, 0, 5, kStart);
  FailMany(cluster, 1, 5, kStart);
  EXPECT_FALSE(InPanic(cluster, kStart));
  FailMany(cluster, 2, 5, kStart);
  EXPECT_TRUE(InPanic(cluster, kStart));
}

struct Traffic {
  uint64_t answered = 0;
  uint64_t failed = 0;
};

std::vector<EndpointCounters*> SweepAfter(Cluster& cluster, const std::vector<Traffic>& traffic) {
  SuccessRates rates;
  rates.Sweep(cluster, kStart);
  for (size_t i = 0; i < traffic.size(); ++i) {
    cluster.endpoints[i].counters->answered += traffic[i].answered;
    cluster.endpoints[i].counters->failed += traffic[i].failed;
  }
  EXPECT_THAT(rates.Sweep(cluster, kStart + seconds(1)), testing::IsEmpty()) << "not yet";
  return rates.Sweep(cluster, kStart + seconds(5));
}

TEST(SuccessRatesTest, TheOneThatFailsMoreThanTheOthersStandsOut) {
  Cluster cluster = MakeCluster(5);
  EXPECT_THAT(SweepAfter(cluster, {{990, 10}, {985, 15}, {700, 300}, {992, 8}, {990, 10}}),
              testing::ElementsAre(&Counters(cluster, 2)));
  Cluster three = MakeCluster(3);
  EXPECT_THAT(SweepAfter(three, {{500, 0}, {400, 100}, {500, 0}}),
              testing::ElementsAre(&Counters(three, 1)));
}

TEST(SuccessRatesTest, ErrorsOfAllLittleTrafficAndSmallDifferencesStandOutForNobody) {
  const std::vector<std::vector<Traffic>> cases = {
      {{500, 500}, {480, 520}, {510, 490}, {505, 495}},  // the app as a whole
      {{30, 1}, {28, 2}, {1, 30}, {29, 1}},              // too few to tell
      {{999, 1}, {999, 1}, {990, 10}, {999, 1}},         // a percent
      {{500, 0}, {100, 400}},                            // two are no crowd
  };
  for (const auto& traffic : cases) {
    Cluster cluster = MakeCluster(static_cast<int>(traffic.size()));
    EXPECT_THAT(SweepAfter(cluster, traffic), testing::IsEmpty());
  }
}

}  // namespace
}  // namespace pando::proxy
