#include "controller/service/load_book.h"

#include <gtest/gtest.h>

namespace pando::controller {
namespace {

Instant At(int64_t ms) { return Instant{Millis{ms}}; }

RequestReport Report(uint64_t requests, uint64_t errors = 0,
                     std::vector<std::pair<double, uint64_t>> latency = {}) {
  return {.requests = requests, .errors = errors, .latency = std::move(latency)};
}

TEST(RequestMeterTest, ASteadyRateIsShownFromTheFirstReportOn) {
  RequestMeter meter;
  EXPECT_EQ(meter.Rates(At(0)).requests_per_second, 0);
  for (int second = 1; second <= 60; ++second) {
    meter.Add(Report(200, 10), At(second * 1'000));
    const RequestRates rates = meter.Rates(At(second * 1'000 + 700));
    EXPECT_NEAR(rates.requests_per_second, 200, 1) << second;
    EXPECT_NEAR(rates.errors_per_second, 10, 0.1) << second;
  }
}

TEST(RequestMeterTest, ReportsOfSeveralProxiesAddUp) {
  RequestMeter meter;
  for (int second = 1; second <= 30; ++second) {
    meter.Add(Report(100), At(second * 1'000));
    meter.Add(Report(300), At(second * 1'000 + 400));
  }
  EXPECT_NEAR(meter.Rates(At(30'500)).requests_per_second, 400, 40);
}

TEST(RequestMeterTest, ARateFollowsAChangeAndFadesInSilence) {
  RequestMeter meter;
  int64_t now = 0;
  for (int i = 0; i < 30; ++i) meter.Add(Report(100), At(now += 1'000));
  for (int i = 0; i < 15; ++i) meter.Add(Report(500), At(now += 1'000));
  EXPECT_NEAR(meter.Rates(At(now)).requests_per_second, 500, 25);
  EXPECT_LT(meter.Rates(At(now + 20'000)).requests_per_second, 15);
  EXPECT_EQ(meter.Rates(At(now + 90'000)).requests_per_second, 0);
  EXPECT_FALSE(meter.Rates(At(now + 90'000)).p99_seconds.has_value());
  EXPECT_FALSE(meter.faded(At(now + 20'000)));
  EXPECT_TRUE(meter.faded(At(now + 61'000)));
}

TEST(RequestMeterTest, QuantilesAreWithinAClassOfTheTruth) {
  RequestMeter meter;
  // 1000 requests: 600 within 5 ms, 389 within 10 ms, 11 within 500 ms.
  for (int second = 1; second <= 5; ++second) {
    meter.Add(Report(1'000, 0, {{0.005, 600}, {0.010, 389}, {0.500, 11}}), At(second * 1'000));
  }
  const RequestRates rates = meter.Rates(At(5'000));
  EXPECT_GE(*rates.p50_seconds, 0.005);
  EXPECT_LE(*rates.p50_seconds, 0.005 * 1.25);
  EXPECT_GE(*rates.p99_seconds, 0.5);
  EXPECT_LE(*rates.p99_seconds, 0.5 * 1.25);
}

TEST(RequestMeterTest, LatenciesBeyondAllClassesAreInTheLast) {
  RequestMeter meter;
  meter.Add(Report(1, 0, {{1e9, 1}}), At(1'000));
  EXPECT_GT(*meter.Rates(At(1'000)).p99_seconds, 60);
}

v1::Heartbeat Beat(double at_seconds, uint32_t incarnation, double cpu_seconds, double node_cpu) {
  v1::Heartbeat heartbeat;
  heartbeat.set_sampled_at_seconds(at_seconds);
  v1::InstanceUsage& usage = *heartbeat.add_usage();
  usage.set_assignment_id("a1");
  usage.set_incarnation(incarnation);
  usage.set_cpu_seconds(cpu_seconds);
  usage.set_memory_bytes(64 << 20);
  heartbeat.mutable_node()->set_cpu_seconds(node_cpu);
  heartbeat.mutable_node()->set_cpus(4);
  return heartbeat;
}

TEST(LoadBookTest, CpuIsTheDifferenceOfTwoSamplesByTheAgentsClock) {
  LoadBook book;
  const NodeId node{"n1"};
  book.NodeSaid(node, Beat(100.0, 1, 10.0, 50), At(0));
  EXPECT_FALSE(book.UsageOf({"a1"}, At(0)).cpu_cores.has_value());
  EXPECT_EQ(book.UsageOf({"a1"}, At(0)).memory_bytes, 64u << 20);
  book.NodeSaid(node, Beat(102.0, 1, 11.0, 53), At(7'000));  // the message was late
  EXPECT_DOUBLE_EQ(*book.UsageOf({"a1"}, At(7'000)).cpu_cores, 0.5);
  EXPECT_DOUBLE_EQ(*book.HostOf(node, At(7'000)).cpu_cores, 1.5);
  book.NodeSaid(node, Beat(102.0, 1, 11.0, 53), At(8'000));  // the same sample again
  EXPECT_DOUBLE_EQ(*book.UsageOf({"a1"}, At(8'000)).cpu_cores, 0.5);
  book.NodeSaid(node, Beat(103.0, 2, 0.2, 53), At(9'000));
  EXPECT_FALSE(book.UsageOf({"a1"}, At(9'000)).cpu_cores.has_value()) << "another process";
}

TEST(LoadBookTest, AnEventLoopsDelayIsThatOfTheLastWord) {
  LoadBook book;
  v1::Heartbeat heartbeat = Beat(100.0, 1, 10.0, 50);
  heartbeat.mutable_usage(0)->set_event_loop_delay_p99_seconds(0.3);
  book.NodeSaid({"n1"}, heartbeat, At(0));
  EXPECT_EQ(book.UsageOf({"a1"}, At(0)).event_loop_delay_p99_seconds, 0.3);
  EXPECT_EQ(book.UsageOf({"a1"}, At(0)).event_loop_delay_mean_seconds, std::nullopt);
  book.NodeSaid({"n1"}, Beat(101.0, 1, 10.0, 50), At(1'000));
  EXPECT_EQ(book.UsageOf({"a1"}, At(1'000)).event_loop_delay_p99_seconds, std::nullopt);
}

TEST(LoadBookTest, WhoFallsSilentHasNoPresentUsage) {
  LoadBook book;
  book.NodeSaid({"n1"}, Beat(100, 1, 10, 50), At(0));
  book.NodeSaid({"n1"}, Beat(101, 1, 11, 51), At(1'000));
  EXPECT_EQ(book.UsageOf({"a1"}, At(20'000)).memory_bytes, 0u);
  EXPECT_FALSE(book.HostOf({"n1"}, At(20'000)).cpu_cores.has_value());
  EXPECT_EQ(book.HostOf({"n1"}, At(20'000)).usage.cpus(), 4u) << "a host keeps its size";
}

TEST(LoadBookTest, AnAppHasRequestsNoInstanceAnswered) {
  LoadBook book;
  const AppId web{"web"};
  const std::vector<AssignmentId> instances{{"a1"}, {"a2"}};
  for (int second = 1; second <= 10; ++second) {
    book.ProxySaidOfApp({"p1"}, web, Report(100, 20, {{0.01, 80}}), 7, At(second * 1'000));
    book.ProxySaidOfInstance({"a1"}, Report(50, 0, {{0.01, 50}}), At(second * 1'000));
    book.ProxySaidOfInstance({"a2"}, Report(30, 0, {{0.01, 30}}), At(second * 1'000));
  }
  EXPECT_NEAR(book.RequestsOf(web, instances, At(10'000)).requests_per_second, 100, 1);
  EXPECT_NEAR(book.RequestsOf(web, instances, At(10'000)).errors_per_second, 20, 1);
  EXPECT_NEAR(book.RequestsOf(instances, At(10'000)).requests_per_second, 80, 1);
  EXPECT_NEAR(book.RequestsOf(AssignmentId{"a2"}, At(10'000)).requests_per_second, 30, 1);
  EXPECT_EQ(book.QueuedOf(web, At(10'000)), 7u);
  EXPECT_EQ(book.QueuedOf(web, At(40'000)), 0u) << "of a proxy that is gone";
}

TEST(LoadBookTest, ThePastIsBounded) {
  LoadBook book;
  const AppId web{"web"};
  int64_t now = 0;
  for (int i = 0; i < 200; ++i) {
    for (int second = 0; second < 5; ++second) {
      book.ProxySaidOfApp({"p1"}, web, Report(static_cast<uint64_t>(i)), 0, At(now += 1'000));
    }
    book.Tick(At(now));
  }
  const std::vector<LoadBook::Point> past = book.HistoryOf(web);
  ASSERT_EQ(past.size(), LoadBook::kHistoryPoints);
  EXPECT_LT(past.front().requests_per_second, past.back().requests_per_second);
  EXPECT_NEAR(past.back().requests_per_second, 199, 2);
  EXPECT_TRUE(book.HistoryOf({"api"}).empty());
}

}  // namespace
}  // namespace pando::controller
