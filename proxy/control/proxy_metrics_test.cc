#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "common/runtime/manual_executor.h"
#include "common/runtime/metric_docs.h"
#include "common/runtime/metrics.h"
#include "proxy/control/fake_data_plane.h"
#include "proxy/control/proxy_status.h"
#include "proxy/control/test_resources.h"

namespace pando::proxy {
namespace {

using ::testing::HasSubstr;

constexpr int kInstances = 1'000;

// Every figure of a busy instance is long.
HistogramStats Busy() {
  HistogramStats histogram;
  histogram.buckets.assign(LatencyBounds().size() + 1, 1'234'567);
  histogram.sum_seconds = 98765.432109;
  return histogram;
}

TimingStats BusyTiming() { return {Busy(), Busy(), Busy()}; }

DataPlaneStats BusyStats() {
  ClusterStats app;
  app.cluster = "storefront";
  app.queue.wait = Busy();
  app.timing = BusyTiming();
  for (int i = 0; i < kInstances; ++i) {
    InstanceStats instance;
    instance.instance = absl::StrCat("storefront.", i);
    for (const size_t code_class : {2, 3, 4}) {
      instance.responses_by_class[code_class] = 123'456'789;
    }
    // Hardly all of them fail, too.
    if (i % 10 == 0) instance.responses_by_class[5] = instance.failures_total = 1'234;
    instance.request_bytes_total = instance.response_bytes_total = 123'456'789'012;
    instance.timing = BusyTiming();
    app.instances.push_back(std::move(instance));
  }
  DataPlaneStats stats;
  stats.clusters.push_back(std::move(app));
  return stats;
}

// The control side over a data plane that only has figures, and a controller nobody answers for.
class ProxyMetricsTest : public ::testing::Test {
 protected:
  // `count` instances, in a table.
  void ServeInstances(int count) {
    auto endpoints = GoodEndpoints("storefront");
    endpoints.clear_endpoints();
    for (int i = 0; i < count; ++i) {
      AddEndpoint(endpoints, "127.0.0.1", static_cast<uint32_t>(20'000 + i), xds_core::HEALTHY,
                  absl::StrCat("storefront.", i, "-aaaa"));
    }
    XdsSnapshot snapshot;
    snapshot.of(XdsType::kCluster)["storefront"] = {"1", AnyBytes(GoodCluster("storefront"))};
    snapshot.of(XdsType::kEndpoints)["storefront"] = {"1", AnyBytes(endpoints)};
    updater_.Restore(snapshot);
    loop_.Advance(Millis{0});
    ASSERT_NE(updater_.table(), nullptr);
  }

  ManualExecutor loop_;
  DataPlane data_plane_{DataPlaneConfig{}};
  TableUpdater updater_{loop_, data_plane_};
  XdsClient client_{loop_, MakeControllerChannel("127.0.0.1:1"), MakeNode("p"), "nobody", updater_};
  bool draining_ = false;
  ProxyMetrics metrics_{ProxyParts{updater_, client_, data_plane_, draining_}};
};

TEST_F(ProxyMetricsTest, AScrapeOfAThousandBusyInstancesIsLessThanAMebibyte) {
  ServeInstances(kInstances);
  FakeDataPlane::Of(data_plane_).SetStats(BusyStats());
  const std::string text = SerializeMetrics(metrics_.Collect());
  EXPECT_THAT(text, HasSubstr("pando_proxy_instance_requests_total{app=\"storefront\","
                              "instance=\"storefront.999\",code=\"2xx\"} 123456789\n"));
  EXPECT_LT(text.size(), size_t{1} << 20);
  RecordProperty("bytes", static_cast<int>(text.size()));
}

TEST_F(ProxyMetricsTest, AreAllInTheDocumentation) {
  ServeInstances(2);
  DataPlaneStats stats = BusyStats();
  stats.clusters[0].instances.resize(2);
  FakeDataPlane::Of(data_plane_).SetStats(std::move(stats));
  const std::vector<prometheus::MetricFamily> families = metrics_.Collect();
  for (const auto& family : families) {
    EXPECT_FALSE(family.metric.empty()) << family.name;
    EXPECT_FALSE(family.help.empty()) << family.name;
  }
  const absl::Status status =
      CheckMetricDocs(PANDO_SOURCE_DIR "/docs/metrics.md", "pando-proxy", DescribeMetrics(families),
                      std::getenv("PANDO_WRITE_DOCS") != nullptr);
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
}  // namespace pando::proxy
