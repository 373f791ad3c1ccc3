#include "proxy/net/stats.h"

#include <gtest/gtest.h>

#include "proxy/core/upstream_table.h"

namespace pando::proxy {
namespace {

DataPlaneStats Read(const WorkerStats& stats, std::map<std::string, ClusterStats>& clusters) {
  DataPlaneStats sum;
  stats.AddTo(clusters, sum);
  return sum;
}

TEST(HistogramTest, PutsEachValueInTheBucketWhoseBoundIsTheFirstNotBelowIt) {
  const std::vector<double>& bounds = LatencyBounds();
  std::vector<uint64_t> micros = {0, 1, 249, 250, 251, 999, 1'000, 1'001, 70'000'000};
  for (const double bound : bounds) {
    const auto at = static_cast<uint64_t>(bound * 1e6);
    micros.insert(micros.end(), {at - 1, at, at + 1});
  }
  for (uint64_t power = 1; power < 100'000'000; power *= 2) micros.push_back(power);
  for (const uint64_t value : micros) {
    SCOPED_TRACE(value);
    Histogram histogram;
    histogram.Record(std::chrono::microseconds(value));
    size_t want = 0;
    while (want < bounds.size() && static_cast<double>(value) > bounds[want] * 1e6) ++want;
    EXPECT_EQ(histogram.buckets[want].value(), 1u);
    EXPECT_EQ(histogram.sum_micros.value(), value);
  }
}

TEST(HistogramTest, TellsQuantilesByTheBoundOfTheirBucket) {
  HistogramStats stats;
  EXPECT_EQ(stats.Quantile(0.5), 0);
  stats.buckets.resize(LatencyBounds().size() + 1);
  stats.buckets[2] = 90;  // 1 ms
  stats.buckets[8] = 9;   // 100 ms
  stats.buckets.back() = 1;
  EXPECT_EQ(stats.count(), 100u);
  EXPECT_EQ(stats.Quantile(0.5), 0.001);
  EXPECT_EQ(stats.Quantile(0.95), 0.1);
  EXPECT_EQ(stats.Quantile(1), LatencyBounds().back());
}

TEST(WorkerStatsTest, SumsWorkersByAppAndInstance) {
  WorkerStats one;
  WorkerStats two;
  const auto a = one.ForInstance("web", "web.2", "web.2-a");
  const auto b = two.ForInstance("web", "web.1", "web.1-a");
  const auto c = two.ForInstance("web", "web.2", "web.2-a");
  a->responses_by_class[2].Add(3);
  b->responses_by_class[2].Add(4);
  c->responses_by_class[5].Add(5);
  c->response_bytes.Add(100);
  one.ForCluster("web").responses_by_class[5].Add();
  two.ForCluster("web").queue.waiting.Add(2);
  std::map<std::string, ClusterStats> clusters;
  Read(one, clusters);
  Read(two, clusters);
  const ClusterStats& web = clusters.at("web");
  EXPECT_EQ(web.requests_total, 13u);
  EXPECT_EQ(web.responses_by_class[2], 7u);
  EXPECT_EQ(web.responses_by_class[5], 6u);
  EXPECT_EQ(web.response_bytes_total, 100u);
  EXPECT_EQ(web.queue.waiting, 2u);
  ASSERT_EQ(web.instances.size(), 2u);
  EXPECT_EQ(web.instances[0].instance, "web.1");
  EXPECT_EQ(web.instances[1].instance, "web.2");
  EXPECT_EQ(web.instances[1].responses_by_class[2], 3u);
  EXPECT_EQ(web.instances[1].responses_by_class[5], 5u);
}

TEST(WorkerStatsTest, KeepsInTheAppsSumsWhatAForgottenInstanceDid) {
  WorkerStats stats;
  auto gone = stats.ForInstance("web", "web.1", "web.1-a");
  const auto kept = stats.ForInstance("web", "web.2", "web.2-a");
  gone->responses_by_class[2].Add(3);
  gone->timing.total.Record(std::chrono::milliseconds(3));
  stats.ForgetInstances();
  EXPECT_EQ(stats.ForInstance("web", "web.1", "web.1-a"), gone);
  gone.reset();
  stats.ForgetInstances();
  std::map<std::string, ClusterStats> clusters;
  Read(stats, clusters);
  const ClusterStats& web = clusters.at("web");
  EXPECT_EQ(web.requests_total, 3u);
  EXPECT_EQ(web.timing.total.count(), 1u);
  ASSERT_EQ(web.instances.size(), 1u);
  EXPECT_EQ(web.instances[0].instance, "web.2");
}

TEST(WorkerStatsTest, TellsAnInstanceFromTheOneThatReplacesIt) {
  WorkerStats stats;
  auto old = stats.ForInstance("web", "web.1", "web.1-a");
  const auto fresh = stats.ForInstance("web", "web.1", "web.1-b");
  old->responses_by_class[2].Add(3);
  fresh->responses_by_class[5].Add(2);
  std::map<std::string, ClusterStats> clusters;
  Read(stats, clusters);
  ASSERT_EQ(clusters.at("web").assignments.size(), 2u);
  EXPECT_EQ(clusters.at("web").assignments[0].instance, "web.1-a");
  EXPECT_EQ(clusters.at("web").assignments[0].responses_by_class[2], 3u);
  EXPECT_EQ(clusters.at("web").assignments[1].responses_by_class[5], 2u);
  // When it is gone, its name still has all that was done under it.
  old.reset();
  stats.ForgetInstances();
  clusters.clear();
  Read(stats, clusters);
  const ClusterStats& web = clusters.at("web");
  EXPECT_EQ(web.requests_total, 5u);
  ASSERT_EQ(web.instances.size(), 1u);
  EXPECT_EQ(web.instances[0].responses_by_class[2], 3u);
  EXPECT_EQ(web.instances[0].responses_by_class[5], 2u);
  ASSERT_EQ(web.assignments.size(), 1u);
  EXPECT_EQ(web.assignments[0].responses_by_class[2], 0u);
}

TEST(WorkerStatsTest, WithoutAssignmentsThereAreOnlyInstances) {
  WorkerStats stats;
  const auto only = stats.ForInstance("web", "127.0.0.1:80", "");
  std::map<std::string, ClusterStats> clusters;
  Read(stats, clusters);
  EXPECT_EQ(clusters.at("web").instances.size(), 1u);
  EXPECT_TRUE(clusters.at("web").assignments.empty());
}

}  // namespace
}  // namespace pando::proxy
