#include "proxy/control/xds_decode_balancing.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "pando/xds/v1/http.pb.h"
#include "proxy/control/xds_field.h"

namespace pando::proxy {
namespace {

namespace cluster = ::envoy::config::cluster::v3;
namespace route = ::envoy::config::route::v3;
using Options = ::pando::xds::v1::ClusterOptions;

constexpr char kTypePrefix[] = "type.googleapis.com/";
constexpr char kSupportedPolicies[] =
    "(use LEAST_REQUEST, ROUND_ROBIN, RANDOM, RING_HASH or MAGLEV)";

// load_balancing_policy supersedes lb_policy: the first of its policies that is known counts.
absl::StatusOr<LbPolicy> ToPolicy(const cluster::LoadBalancingPolicy& from) {
  constexpr std::pair<const char*, LbPolicy> kKnown[] = {
      {"least_request.v3.LeastRequest", LbPolicy::kLeastRequest},
      {"round_robin.v3.RoundRobin", LbPolicy::kRoundRobin},
      {"random.v3.Random", LbPolicy::kRandom},
      {"ring_hash.v3.RingHash", LbPolicy::kRingHash},
      {"maglev.v3.Maglev", LbPolicy::kMaglev}};
  std::string names;
  for (const auto& policy : from.policies()) {
    const std::string& url = policy.typed_extension_config().typed_config().type_url();
    for (const auto& [suffix, known] : kKnown) {
      if (url == absl::StrCat(kTypePrefix, "envoy.extensions.load_balancing_policies.", suffix)) {
        return known;
      }
    }
    absl::StrAppend(&names, names.empty() ? "" : ", ", url);
  }
  return Refuse("load_balancing_policy.policies",
                absl::StrCat("none of [", names, "] is supported ", kSupportedPolicies));
}

absl::StatusOr<LbPolicy> ToPolicy(const cluster::Cluster& from) {
  if (from.has_load_balancing_policy()) return ToPolicy(from.load_balancing_policy());
  switch (from.lb_policy()) {
    case cluster::Cluster::LEAST_REQUEST:
      return LbPolicy::kLeastRequest;
    case cluster::Cluster::ROUND_ROBIN:
      return LbPolicy::kRoundRobin;
    case cluster::Cluster::RANDOM:
      return LbPolicy::kRandom;
    case cluster::Cluster::RING_HASH:
      return LbPolicy::kRingHash;
    case cluster::Cluster::MAGLEV:
      return LbPolicy::kMaglev;
    default:
      break;
  }
  const std::string& name = cluster::Cluster::LbPolicy_Name(from.lb_policy());
  return Refuse("lb_policy",
                absl::StrCat(name.empty() ? absl::StrCat(static_cast<int>(from.lb_policy())) : name,
                             " is not supported ", kSupportedPolicies));
}

absl::Status ReadPercent(const std::string& field, const google::protobuf::UInt32Value& from,
                         uint32_t& result) {
  if (from.value() > 100) return Refuse(field, absl::StrCat(from.value(), " is more than 100"));
  result = from.value();
  return absl::OkStatus();
}

// A check that is enforced for a share of the cases only is none of ours: all or nothing.
absl::StatusOr<bool> IsEnforced(const std::string& field, bool is_set,
                                const google::protobuf::UInt32Value& from) {
  if (!is_set || from.value() == 100) return true;
  if (from.value() == 0) return false;
  return Refuse(field, absl::StrCat(from.value(), " is not supported (use 0 or 100)"));
}

absl::Status ReadOutlierTimes(const cluster::OutlierDetection& from, OutlierPolicy& result) {
  const auto at = [](const char* name) { return Sub("outlier_detection", name); };
  if (from.has_interval()) {
    PANDO_ASSIGN_OR_RETURN(result.interval, ToMillis(at("interval"), from.interval()));
    if (result.interval == Millis{0}) return Refuse(at("interval"), "0 s is too short");
  }
  if (from.has_base_ejection_time()) {
    PANDO_ASSIGN_OR_RETURN(result.base_ejection,
                           ToMillis(at("base_ejection_time"), from.base_ejection_time()));
  }
  if (from.has_max_ejection_time()) {
    PANDO_ASSIGN_OR_RETURN(result.max_ejection,
                           ToMillis(at("max_ejection_time"), from.max_ejection_time()));
  }
  return absl::OkStatus();
}

absl::Status ReadOutliers(const cluster::OutlierDetection& from, OutlierPolicy& result) {
  const auto at = [](const char* name) { return Sub("outlier_detection", name); };
  const std::pair<const char*, bool> fields[] = {
      {"consecutive_5xx", from.has_consecutive_5xx() && from.consecutive_5xx().value() > 0},
      {"failure_percentage_threshold", from.has_failure_percentage_threshold()}};
  for (const auto& [name, is_set] : fields) {
    if (is_set) return Unsupported(at(name));
  }
  PANDO_RETURN_IF_ERROR(ReadOutlierTimes(from, result));
  if (from.has_max_ejection_percent()) {
    PANDO_RETURN_IF_ERROR(ReadPercent(at("max_ejection_percent"), from.max_ejection_percent(),
                                      result.max_ejected_percent));
  }
  if (from.has_consecutive_gateway_failure()) {
    result.consecutive_failures = from.consecutive_gateway_failure().value();
  }
  PANDO_ASSIGN_OR_RETURN(const bool counts_failures,
                         IsEnforced(at("enforcing_consecutive_gateway_failure"),
                                    from.has_enforcing_consecutive_gateway_failure(),
                                    from.enforcing_consecutive_gateway_failure()));
  if (!counts_failures) result.consecutive_failures = 0;
  if (from.has_success_rate_stdev_factor()) {
    result.success_rate_stdev = from.success_rate_stdev_factor().value() / 1'000.0;
  }
  if (from.has_success_rate_minimum_hosts()) {
    result.success_rate_hosts = from.success_rate_minimum_hosts().value();
  }
  if (from.has_success_rate_request_volume()) {
    result.success_rate_volume = from.success_rate_request_volume().value();
  }
  PANDO_ASSIGN_OR_RETURN(const bool compares_rates,
                         IsEnforced(at("enforcing_success_rate"), from.has_enforcing_success_rate(),
                                    from.enforcing_success_rate()));
  if (!compares_rates) result.success_rate_stdev = 0;
  return absl::OkStatus();
}

absl::Status ReadCommon(const cluster::Cluster::CommonLbConfig& from, ClusterOptions& result) {
  if (from.has_locality_weighted_lb_config()) {
    return Unsupported("common_lb_config.locality_weighted_lb_config");
  }
  if (from.has_healthy_panic_threshold()) {
    const double percent = from.healthy_panic_threshold().value();
    if (!(percent >= 0 && percent <= 100)) {
      return Refuse("common_lb_config.healthy_panic_threshold",
                    absl::StrCat(percent, " is not in 0-100"));
    }
    result.panic_percent = static_cast<uint32_t>(percent);
  }
  if (from.consistent_hashing_lb_config().has_hash_balance_factor()) {
    const uint32_t factor = from.consistent_hashing_lb_config().hash_balance_factor().value();
    if (factor != 0 && factor < 100) {
      return Refuse("common_lb_config.consistent_hashing_lb_config.hash_balance_factor",
                    absl::StrCat(factor, " is less than 100"));
    }
    result.hash_balance_percent = factor;
  }
  return absl::OkStatus();
}

absl::Status ReadSlowStart(const std::string& field, const cluster::Cluster::SlowStartConfig& from,
                           Millis& result) {
  if (from.has_aggression()) return Unsupported(Sub(field, "aggression"));
  if (from.has_min_weight_percent()) return Unsupported(Sub(field, "min_weight_percent"));
  PANDO_ASSIGN_OR_RETURN(result,
                         ToMillis(Sub(field, "slow_start_window"), from.slow_start_window()));
  return absl::OkStatus();
}

// What only our own control plane says.
absl::Status ReadOwnOptions(const cluster::Cluster& from, ClusterOptions& result) {
  const auto& metadata = from.metadata().typed_filter_metadata();
  const auto found = metadata.find("pando.cluster");
  if (found == metadata.end()) return absl::OkStatus();
  const std::string at = "metadata.typed_filter_metadata[pando.cluster]";
  Options options;
  PANDO_RETURN_IF_ERROR(Unpack(at, found->second, options));
  switch (options.policy()) {
    case Options::AS_LB_POLICY_SAYS:
      break;
    case Options::PEAK_EWMA:
      result.lb_policy = LbPolicy::kPeakEwma;
      break;
    case Options::STICKY:
      result.lb_policy = LbPolicy::kSticky;
      break;
    default:
      return Refuse(Sub(at, "policy"),
                    absl::StrCat(static_cast<int>(options.policy()), " is not known"));
  }
  if (options.has_fixed()) {
    if (options.fixed() == 0) return Refuse(Sub(at, "fixed"), "0 is less than 1");
    result.concurrency = {Concurrency::Kind::kFixed, options.fixed()};
  } else if (options.adaptive()) {
    result.concurrency = {Concurrency::Kind::kAuto, 0};
  }
  if (options.has_queue_max()) result.queue.max = options.queue_max().value();
  if (options.has_queue_timeout()) {
    PANDO_ASSIGN_OR_RETURN(result.queue.timeout,
                           ToMillis(Sub(at, "queue_timeout"), options.queue_timeout()));
  }
  if (options.has_split()) {
    const std::string field = Sub(at, "split");
    if (options.split().revision().empty()) return NotSet(Sub(field, "revision"));
    if (options.split().percent() > 100) {
      return Refuse(Sub(field, "percent"),
                    absl::StrCat(options.split().percent(), " is not in 0-100"));
    }
    result.split = {options.split().revision(), options.split().percent()};
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadBalancing(const cluster::Cluster& from, ClusterOptions& result) {
  PANDO_ASSIGN_OR_RETURN(result.lb_policy, ToPolicy(from));
  PANDO_RETURN_IF_ERROR(ReadOutliers(from.outlier_detection(), result.outlier));
  PANDO_RETURN_IF_ERROR(ReadCommon(from.common_lb_config(), result));
  if (from.round_robin_lb_config().has_slow_start_config()) {
    PANDO_RETURN_IF_ERROR(ReadSlowStart("round_robin_lb_config.slow_start_config",
                                        from.round_robin_lb_config().slow_start_config(),
                                        result.slow_start));
  }
  if (from.least_request_lb_config().has_slow_start_config()) {
    PANDO_RETURN_IF_ERROR(ReadSlowStart("least_request_lb_config.slow_start_config",
                                        from.least_request_lb_config().slow_start_config(),
                                        result.slow_start));
  }
  return ReadOwnOptions(from, result);
}

absl::Status ReadHashPolicy(const std::string& field, const route::RouteAction& from,
                            HashSource& result) {
  if (from.hash_policy_size() == 0) return absl::OkStatus();
  const std::string policies = Sub(field, "hash_policy");
  if (from.hash_policy_size() > 1) {
    return Refuse(policies, absl::StrCat(from.hash_policy_size(), " are not supported (use one)"));
  }
  const std::string at = Indexed(policies, 0);
  const route::RouteAction::HashPolicy& policy = from.hash_policy(0);
  switch (policy.policy_specifier_case()) {
    case route::RouteAction::HashPolicy::kHeader:
      if (policy.header().header_name().empty()) return NotSet(Sub(at, "header.header_name"));
      result.kind = HashSource::Kind::kHeader;
      result.name = absl::AsciiStrToLower(policy.header().header_name());
      return absl::OkStatus();
    case route::RouteAction::HashPolicy::kCookie:
      if (policy.cookie().name().empty()) return NotSet(Sub(at, "cookie.name"));
      result.kind = HashSource::Kind::kCookie;
      result.name = policy.cookie().name();
      if (policy.cookie().has_ttl()) {
        PANDO_ASSIGN_OR_RETURN(result.cookie_ttl,
                               ToMillis(Sub(at, "cookie.ttl"), policy.cookie().ttl()));
      }
      return absl::OkStatus();
    case route::RouteAction::HashPolicy::kConnectionProperties:
      if (!policy.connection_properties().source_ip()) {
        return NotSet(Sub(at, "connection_properties.source_ip"));
      }
      result.kind = HashSource::Kind::kSourceAddress;
      return absl::OkStatus();
    default:
      return Refuse(at, "is not supported (use header, cookie or connection_properties)");
  }
}

}  // namespace pando::proxy
