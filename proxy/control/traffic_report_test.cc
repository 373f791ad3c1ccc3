#include "proxy/control/traffic_report.h"

#include <gtest/gtest.h>

#include <map>

namespace pando::proxy {
namespace {

namespace endpoint = ::envoy::config::endpoint::v3;

// web.1 with so many 2xx, 5xx and failed attempts, the 2xx within the first two latency classes.
DataPlaneStats Stats(uint64_t ok, uint64_t bad, uint64_t failures, uint64_t waiting = 0) {
  InstanceStats instance;
  instance.instance = "web.1";
  instance.responses_by_class[2] = ok;
  instance.responses_by_class[5] = bad;
  instance.failures_total = failures;
  instance.timing.total.buckets.resize(LatencyBounds().size() + 1);
  instance.timing.total.buckets[0] = ok / 2;
  instance.timing.total.buckets[1] = ok - ok / 2;
  instance.timing.total.buckets.back() = bad;
  ClusterStats cluster;
  cluster.cluster = "web";
  cluster.queue.waiting = waiting;
  cluster.instances = {instance};
  DataPlaneStats stats;
  stats.clusters = {cluster};
  return stats;
}

std::map<std::string, uint64_t> Metrics(const endpoint::UpstreamEndpointStats& stats) {
  std::map<std::string, uint64_t> metrics;
  for (const auto& metric : stats.load_metric_stats()) {
    metrics[metric.metric_name()] = metric.num_requests_finished_with_metric();
  }
  return metrics;
}

TEST(TrafficReportTest, TellsWhatHappenedSinceTheLastReport) {
  TrafficReport report;
  report.Begin(Stats(1'000, 50, 5));
  report.Next(Stats(1'010, 52, 6));
  endpoint::UpstreamEndpointStats told;
  report.FillInstance("web", "web.1", told);
  EXPECT_EQ(told.total_successful_requests(), 10u);
  EXPECT_EQ(told.total_error_requests(), 3u);
  EXPECT_EQ(told.total_issued_requests(), 13u);
  const std::map<std::string, uint64_t> want{
      {"pando.latency.0.00025", 5}, {"pando.latency.0.0005", 5}, {"pando.latency.inf", 2}};
  EXPECT_EQ(Metrics(told), want);

  report.Next(Stats(1'010, 52, 6));
  endpoint::UpstreamEndpointStats quiet;
  report.FillInstance("web", "web.1", quiet);
  EXPECT_EQ(quiet.total_issued_requests(), 0u);
  EXPECT_TRUE(quiet.load_metric_stats().empty());
}

TEST(TrafficReportTest, AnInstanceThatIsNewHasAllItDid) {
  TrafficReport report;
  report.Begin({});
  report.Next(Stats(7, 0, 0));
  endpoint::UpstreamEndpointStats told;
  report.FillInstance("web", "web.1", told);
  EXPECT_EQ(told.total_successful_requests(), 7u);
}

TEST(TrafficReportTest, CountersThatBeginAnewAreNoHugeNumber) {
  TrafficReport report;
  report.Begin(Stats(1'000, 0, 0));
  report.Next(Stats(4, 0, 0));
  endpoint::UpstreamEndpointStats told;
  report.FillInstance("web", "web.1", told);
  EXPECT_EQ(told.total_successful_requests(), 4u);
}

TEST(TrafficReportTest, AnInstanceIsToldFromTheOneThatReplacesIt) {
  DataPlaneStats stats = Stats(7, 3, 0);
  InstanceStats old, fresh;
  old.instance = "web.1-a";
  old.responses_by_class[2] = 7;
  fresh.instance = "web.1-b";
  fresh.responses_by_class[5] = 3;
  stats.clusters[0].assignments = {old, fresh};
  TrafficReport report;
  report.Next(stats);
  endpoint::UpstreamEndpointStats told;
  report.FillInstance("web", "web.1-b", told);
  EXPECT_EQ(told.total_successful_requests(), 0u);
  EXPECT_EQ(told.total_error_requests(), 3u);
}

TEST(TrafficReportTest, TheQueueIsToldAsItIsNow) {
  TrafficReport report;
  report.Begin(Stats(0, 0, 0, 90));
  report.Next(Stats(0, 0, 0, 42));
  endpoint::UpstreamLocalityStats told;
  report.FillCluster("web", told);
  ASSERT_EQ(told.load_metric_stats_size(), 1);
  EXPECT_EQ(told.load_metric_stats(0).metric_name(), "pando.queued");
  EXPECT_EQ(told.load_metric_stats(0).num_requests_finished_with_metric(), 42u);
}

TEST(TrafficReportTest, OfWhomNothingIsKnownNothingIsTold) {
  TrafficReport report;
  report.Next(Stats(1, 0, 0));
  endpoint::UpstreamEndpointStats told;
  report.FillInstance("web", "web.2", told);
  report.FillInstance("api", "web.1", told);
  EXPECT_EQ(told.total_issued_requests(), 0u);
}

}  // namespace
}  // namespace pando::proxy
