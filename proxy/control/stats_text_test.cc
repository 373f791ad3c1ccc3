#include "proxy/control/stats_text.h"

#include <gtest/gtest.h>

namespace pando::proxy {
namespace {

TEST(StatsTextTest, ShowsAppsWithTheirInstances) {
  HistogramStats quick;
  quick.buckets.resize(LatencyBounds().size() + 1);
  quick.buckets[2] = 99;
  quick.buckets[8] = 1;
  InstanceStats instance;
  instance.instance = "web.1";
  instance.responses_by_class[2] = 98;
  instance.responses_by_class[5] = 2;
  instance.failures_total = 1;
  instance.request_bytes_total = 12'345;
  instance.response_bytes_total = 6'789'000;
  instance.timing.first_byte = instance.timing.total = quick;
  ClusterStats app;
  app.cluster = "web";
  app.responses_by_class[2] = 98;
  app.responses_by_class[5] = 3;
  app.retries_total = 1;
  app.queue.waiting = 4;
  app.request_bytes_total = 12'345;
  app.response_bytes_total = 6'789'000;
  app.instances = {instance, {}};
  app.instances[1].instance = "web.2";
  DataPlaneStats stats;
  stats.connections_active = 3;
  stats.connections_accepted_total = 10;
  stats.clusters = {app};
  EXPECT_EQ(StatsText(stats),
            R"(clients 3 connected, 10 accepted   tls 0 handshakes, 0 resumed, 0 failed
refused 0 bad requests, 0 without a route

APP  INSTANCE  2xx  3xx  4xx  5xx  RETRIED  QUEUED   SENT  RECEIVED  FIRST-P50  P99  TOTAL-P50  P99
web  (2)        98    0    0    3        1       4  12.3k      6.8M          -    -          -    -
     web.1      98    0    0    2        1          12.3k      6.8M          1    1          1    1
     web.2       0    0    0    0        0              0         0          -    -          -    -

Times in ms, each the upper bound of its bucket. RETRIED: of an instance, its failed attempts. More: /stats
)");
}

}  // namespace
}  // namespace pando::proxy
