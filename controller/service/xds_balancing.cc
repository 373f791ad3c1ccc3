#include "controller/service/xds_balancing.h"

#include <cstdlib>
#include <string>

#include "pando/v1/spec.pb.h"
#include "pando/xds/v1/http.pb.h"

namespace pando::controller {
namespace {

using XdsCluster = envoy::config::cluster::v3::Cluster;
using xds::v1::ClusterOptions;
namespace v1 = ::pando::v1;

v1::AppSpec Said(const RoutingConfig::AppRoute& app) {
  v1::AppSpec spec;
  // Made by the store's translation alone.
  if (!spec.ParseFromString(app.balancing)) std::abort();
  return spec;
}

XdsCluster::LbPolicy ToLbPolicy(LbPolicy policy) {
  switch (policy) {
    case LbPolicy::kRoundRobin:
      return XdsCluster::ROUND_ROBIN;
    case LbPolicy::kRandom:
      return XdsCluster::RANDOM;
    case LbPolicy::kRingHash:
      return XdsCluster::RING_HASH;
    case LbPolicy::kMaglev:
      return XdsCluster::MAGLEV;
    case LbPolicy::kLeastRequest:
    case LbPolicy::kPeakEwma:  // the nearest there is
    case LbPolicy::kSticky:
      break;
  }
  return XdsCluster::LEAST_REQUEST;
}

void SetMillis(uint32_t from, google::protobuf::Duration& to) {
  to.set_seconds(from / 1'000);
  to.set_nanos(static_cast<int32_t>(from % 1'000) * 1'000'000);
}

void SetSlowStart(uint32_t millis, XdsCluster& cluster) {
  if (millis == 0) return;
  XdsCluster::SlowStartConfig& config =
      cluster.lb_policy() == XdsCluster::ROUND_ROBIN
          ? *cluster.mutable_round_robin_lb_config()->mutable_slow_start_config()
          : *cluster.mutable_least_request_lb_config()->mutable_slow_start_config();
  SetMillis(millis, *config.mutable_slow_start_window());
}

void SetOutliers(const v1::Outliers& from, XdsCluster& cluster) {
  auto& detection = *cluster.mutable_outlier_detection();
  if (from.off()) {
    detection.mutable_enforcing_consecutive_gateway_failure()->set_value(0);
    detection.mutable_enforcing_success_rate()->set_value(0);
    return;
  }
  if (from.failures() > 0) {
    detection.mutable_consecutive_gateway_failure()->set_value(from.failures());
  }
  if (from.ejection_ms() > 0)
    SetMillis(from.ejection_ms(), *detection.mutable_base_ejection_time());
  if (from.max_ejection_ms() > 0) {
    SetMillis(from.max_ejection_ms(), *detection.mutable_max_ejection_time());
  }
  if (from.max_percent() > 0) {
    detection.mutable_max_ejection_percent()->set_value(from.max_percent());
  }
}

}  // namespace

void SetBalancing(const RoutingConfig::AppRoute& app, XdsCluster& cluster) {
  const v1::AppSpec spec = Said(app);
  cluster.set_lb_policy(ToLbPolicy(app.lb_policy));
  SetSlowStart(spec.load_balancing().slow_start_ms(), cluster);
  if (spec.has_outliers()) SetOutliers(spec.outliers(), cluster);

  ClusterOptions options;
  if (app.lb_policy == LbPolicy::kPeakEwma) options.set_policy(ClusterOptions::PEAK_EWMA);
  if (app.lb_policy == LbPolicy::kSticky) options.set_policy(ClusterOptions::STICKY);
  switch (spec.concurrency().kind()) {
    case v1::Concurrency::FIXED:
      options.set_fixed(spec.concurrency().limit());
      break;
    case v1::Concurrency::UNLIMITED:
      break;
    default:
      options.set_adaptive(true);
  }
  if (spec.queue().max() > 0) options.mutable_queue_max()->set_value(spec.queue().max());
  if (spec.queue().timeout_ms() > 0) {
    SetMillis(spec.queue().timeout_ms(), *options.mutable_queue_timeout());
  }
  if (app.split) {
    options.mutable_split()->set_revision(std::to_string(app.split->revision));
    options.mutable_split()->set_percent(app.split->percent);
  }
  if (options.ByteSizeLong() == 0) return;
  google::protobuf::Any& any =
      (*cluster.mutable_metadata()->mutable_typed_filter_metadata())["pando.cluster"];
  any.PackFrom(options);
}

void SetHashPolicy(const RoutingConfig::AppRoute& app,
                   envoy::config::route::v3::RouteAction& action) {
  const v1::LoadBalancing balancing = Said(app).load_balancing();
  switch (balancing.key()) {
    case v1::LoadBalancing::HEADER:
      action.add_hash_policy()->mutable_header()->set_header_name(balancing.key_name());
      return;
    case v1::LoadBalancing::COOKIE:
      action.add_hash_policy()->mutable_cookie()->set_name(balancing.key_name());
      return;
    case v1::LoadBalancing::SOURCE:
      action.add_hash_policy()->mutable_connection_properties()->set_source_ip(true);
      return;
    default:
      return;
  }
}

}  // namespace pando::controller
