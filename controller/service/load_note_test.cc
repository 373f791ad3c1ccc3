#include "controller/service/load_note.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

namespace pando::controller {
namespace {

Instant At(int64_t ms) { return Instant{Millis{ms}}; }

envoy::service::load_stats::v3::LoadStatsRequest Request(const std::string& text) {
  envoy::service::load_stats::v3::LoadStatsRequest request;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request)) << text;
  return request;
}

constexpr char kReport[] = R"(
  cluster_stats {
    cluster_name: 'web'
    load_report_interval { seconds: 1 }
    upstream_locality_stats {
      total_successful_requests: 90
      total_error_requests: 10
      load_metric_stats { metric_name: 'pando.queued' num_requests_finished_with_metric: 7 }
      upstream_endpoint_stats {
        total_successful_requests: 60
        total_error_requests: 4
        metadata { fields { key: 'assignment' value { string_value: 'web.1-a' } } }
        load_metric_stats {
          metric_name: 'pando.latency.0.005' num_requests_finished_with_metric: 60 }
        load_metric_stats {
          metric_name: 'pando.latency.inf' num_requests_finished_with_metric: 4 }
        load_metric_stats { metric_name: 'somebody.else' num_requests_finished_with_metric: 9 }
        load_metric_stats { metric_name: 'pando.latency.x' num_requests_finished_with_metric: 9 }
      }
      upstream_endpoint_stats { total_successful_requests: 30 }
    }
  })";

TEST(NoteLoadTest, TakesDownAppsInstancesAndQueues) {
  LoadBook book;
  const AppId web{"web"};
  const std::vector<AssignmentId> instances{{"web.1-a"}};
  for (int second = 1; second <= 10; ++second) {
    NoteLoad(Request(kReport), {"edge-1"}, At(second * 1'000), book);
  }
  const RequestRates app = book.RequestsOf(web, instances, At(10'000));
  EXPECT_NEAR(app.requests_per_second, 100, 1);
  EXPECT_NEAR(app.errors_per_second, 10, 0.1);
  EXPECT_EQ(book.QueuedOf(web, At(10'000)), 7u);
  const RequestRates instance = book.RequestsOf(instances[0], At(10'000));
  EXPECT_NEAR(instance.requests_per_second, 64, 1);
  EXPECT_NEAR(instance.errors_per_second, 4, 0.1);
  EXPECT_NEAR(*instance.p50_seconds, 0.005, 0.00125);
  EXPECT_GT(*instance.p99_seconds, 60);
}

TEST(NoteLoadTest, WhatInstancesDidIsEvidence) {
  const auto loads = ToLoads(Request(kReport));
  ASSERT_EQ(loads.size(), 1u) << "nobody knows whose the other one's requests are";
  EXPECT_EQ(loads[0].first, AssignmentId{"web.1-a"});
  EXPECT_EQ(loads[0].second.requests, 64u);
  EXPECT_EQ(loads[0].second.errors, 4u);
  EXPECT_EQ(kLatencyBoundsMs[2], 5u);
  EXPECT_EQ(loads[0].second.latency[2], 60u);
  EXPECT_EQ(loads[0].second.latency.back(), 4u);
  EXPECT_TRUE(ToLoads(Request("cluster_stats { cluster_name: 'web' }")).empty());
}

TEST(NoteLoadTest, AWordOnDrainsIsNotTraffic) {
  LoadBook book;
  NoteLoad(Request(R"(cluster_stats {
                        cluster_name: 'web'
                        upstream_locality_stats { total_successful_requests: 90 }
                      })"),
           {"edge-1"}, At(1'000), book);
  EXPECT_EQ(book.RequestsOf({"web"}, {}, At(1'000)).requests_per_second, 0);
}

}  // namespace
}  // namespace pando::controller
