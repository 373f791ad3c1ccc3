// Clusters and endpoints; listeners and routes are in xds_decode_routing.cc.
#include "proxy/control/xds_decode.h"

#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/endpoint/v3/endpoint.pb.h"
#include "envoy/extensions/upstreams/http/v3/http_protocol_options.pb.h"
#include "proxy/control/xds_decode_balancing.h"
#include "proxy/control/xds_field.h"

namespace pando::proxy {
namespace {

namespace cluster = ::envoy::config::cluster::v3;
namespace core = ::envoy::config::core::v3;
namespace endpoint = ::envoy::config::endpoint::v3;
namespace upstreams = ::envoy::extensions::upstreams::http::v3;

constexpr char kTypePrefix[] = "type.googleapis.com/";
constexpr char kHttpOptions[] = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

// ---- endpoints ----

absl::StatusOr<EndpointHealth> ToHealth(const std::string& field, core::HealthStatus status) {
  switch (status) {
    case core::UNKNOWN:
    case core::HEALTHY:
      return EndpointHealth::kHealthy;
    case core::DRAINING:
      return EndpointHealth::kDraining;
    case core::TIMEOUT:
    case core::DEGRADED:
      return EndpointHealth::kSuspect;
    default:
      return Refuse(Sub(field, "health_status"),
                    absl::StrCat(static_cast<int>(status), " is not known"));
  }
}

absl::StatusOr<std::string> MetadataText(const std::string& field,
                                         const google::protobuf::Struct& values, const char* key) {
  const auto found = values.fields().find(key);
  if (found == values.fields().end()) return std::string();
  if (found->second.kind_case() != google::protobuf::Value::kStringValue) {
    return Refuse(absl::StrCat(field, ".metadata.filter_metadata[pando].", key), "is not a string");
  }
  return found->second.string_value();
}

// A whole number, as text; numbers in a Struct are doubles.
absl::StatusOr<std::string> MetadataWhole(const std::string& field,
                                          const google::protobuf::Struct& values, const char* key) {
  constexpr double kMax = 9'007'199'254'740'992;  // from here on doubles skip whole numbers
  const auto found = values.fields().find(key);
  if (found == values.fields().end()) return std::string();
  const double number = found->second.number_value();
  if (found->second.kind_case() != google::protobuf::Value::kNumberValue || !(number >= 0) ||
      number >= kMax || number != std::floor(number)) {
    return Refuse(absl::StrCat(field, ".metadata.filter_metadata[pando].", key),
                  "is not a whole number");
  }
  return absl::StrCat(static_cast<uint64_t>(number));
}

absl::StatusOr<Endpoint> ToEndpoint(const std::string& field, const endpoint::LbEndpoint& from) {
  if (!from.has_endpoint()) return NotSet(Sub(field, "endpoint"));
  PANDO_ASSIGN_OR_RETURN(SocketEndpoint socket, ToSocketEndpoint(Sub(field, "endpoint.address"),
                                                                 from.endpoint().address()));
  Endpoint result;
  result.address = std::move(socket.address);
  result.port = socket.port;
  if (from.has_load_balancing_weight()) {
    result.weight = from.load_balancing_weight().value();
    if (result.weight == 0) {
      return Refuse(Sub(field, "load_balancing_weight"), "0 is less than 1");
    }
  }
  const auto& metadata = from.metadata().filter_metadata();
  if (const auto pando = metadata.find("pando"); pando != metadata.end()) {
    PANDO_ASSIGN_OR_RETURN(result.instance, MetadataText(field, pando->second, "instance"));
    PANDO_ASSIGN_OR_RETURN(result.assignment, MetadataText(field, pando->second, "assignment"));
    PANDO_ASSIGN_OR_RETURN(result.revision, MetadataWhole(field, pando->second, "revision"));
  }
  return result;
}

absl::Status CheckPolicy(const std::string& prefix,
                         const endpoint::ClusterLoadAssignment::Policy& policy) {
  if (policy.drop_overloads_size() > 0) return Unsupported(prefix + "policy.drop_overloads");
  if (policy.has_endpoint_stale_after()) return Unsupported(prefix + "policy.endpoint_stale_after");
  return absl::OkStatus();
}

// `prefix` is "" or "load_assignment.".
absl::StatusOr<std::vector<Endpoint>> ToEndpoints(const std::string& prefix,
                                                  const endpoint::ClusterLoadAssignment& from) {
  PANDO_RETURN_IF_ERROR(CheckPolicy(prefix, from.policy()));
  std::vector<Endpoint> result;
  std::set<std::pair<std::string, uint16_t>> addresses;
  for (int i = 0; i < from.endpoints_size(); ++i) {
    const endpoint::LocalityLbEndpoints& group = from.endpoints(i);
    const std::string group_field = Indexed(prefix + "endpoints", i);
    if (group.priority() != 0) {
      return Refuse(Sub(group_field, "priority"),
                    absl::StrCat(group.priority(), " is not supported (only 0)"));
    }
    for (int j = 0; j < group.lb_endpoints_size(); ++j) {
      const std::string field = Indexed(Sub(group_field, "lb_endpoints"), j);
      PANDO_ASSIGN_OR_RETURN(Endpoint added, ToEndpoint(field, group.lb_endpoints(j)));
      if (!addresses.emplace(added.address, added.port).second) {
        return Refuse(Sub(field, "endpoint.address"),
                      absl::StrCat(added.address, " port ", added.port, " is there twice"));
      }
      if (group.lb_endpoints(j).health_status() == core::UNHEALTHY) continue;
      PANDO_ASSIGN_OR_RETURN(added.health, ToHealth(field, group.lb_endpoints(j).health_status()));
      result.push_back(std::move(added));
    }
  }
  return result;
}

// ---- clusters ----

absl::Status CheckProtocolOptions(const cluster::Cluster& from) {
  for (const auto& [key, value] : from.typed_extension_protocol_options()) {
    const std::string field = absl::StrCat("typed_extension_protocol_options[", key, "]");
    if (key != kHttpOptions) return Unsupported(field);
    upstreams::HttpProtocolOptions options;
    PANDO_RETURN_IF_ERROR(Unpack(field, value, options));
    if (options.explicit_http_config().has_http2_protocol_options()) {
      return Unsupported(Sub(field, "explicit_http_config.http2_protocol_options"));
    }
    if (options.has_common_http_protocol_options()) {
      return Unsupported(Sub(field, "common_http_protocol_options"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckUnsupported(const cluster::Cluster& from) {
  const std::pair<const char*, bool> fields[] = {{"health_checks", from.health_checks_size() > 0},
                                                 {"circuit_breakers", from.has_circuit_breakers()},
                                                 {"transport_socket", from.has_transport_socket()}};
  for (const auto& [field, is_set] : fields) {
    if (is_set) return Unsupported(field);
  }
  return CheckProtocolOptions(from);
}

absl::Status ReadEndpointSource(const cluster::Cluster& from, ClusterSpec& result) {
  switch (from.type()) {
    case cluster::Cluster::EDS:
      PANDO_RETURN_IF_ERROR(
          CheckFromAds("eds_cluster_config.eds_config", from.eds_cluster_config().eds_config()));
      result.endpoints_name = from.eds_cluster_config().service_name();
      if (result.endpoints_name.empty()) result.endpoints_name = from.name();
      return absl::OkStatus();
    case cluster::Cluster::STATIC: {
      if (!from.has_load_assignment()) return NotSet("load_assignment");
      PANDO_ASSIGN_OR_RETURN(result.fixed_endpoints,
                             ToEndpoints("load_assignment.", from.load_assignment()));
      return absl::OkStatus();
    }
    default:
      break;
  }
  const std::string& name = cluster::Cluster::DiscoveryType_Name(from.type());
  return Refuse("type",
                absl::StrCat(name.empty() ? absl::StrCat(static_cast<int>(from.type())) : name,
                             " is not supported (use EDS or STATIC)"));
}

absl::StatusOr<ClusterSpec> ToCluster(const std::string& name, const std::string& any_bytes) {
  cluster::Cluster from;
  PANDO_RETURN_IF_ERROR(UnpackResource(any_bytes, from));
  if (from.name().empty()) return NotSet("name");
  if (from.name() != name) {
    return Refuse("name", absl::StrCat("\"", from.name(), "\" is not the resource's name"));
  }
  ClusterSpec result;
  result.name = name;
  PANDO_RETURN_IF_ERROR(ReadEndpointSource(from, result));
  if (from.has_connect_timeout()) {
    PANDO_ASSIGN_OR_RETURN(result.connect_timeout,
                           ToMillis("connect_timeout", from.connect_timeout()));
    if (result.connect_timeout == Millis{0}) return Refuse("connect_timeout", "0 s is too short");
  }
  PANDO_RETURN_IF_ERROR(ReadBalancing(from, result));
  PANDO_RETURN_IF_ERROR(CheckUnsupported(from));
  return result;
}

absl::StatusOr<std::vector<Endpoint>> ToEndpointsResource(const std::string& name,
                                                          const std::string& any_bytes) {
  endpoint::ClusterLoadAssignment from;
  PANDO_RETURN_IF_ERROR(UnpackResource(any_bytes, from));
  if (from.cluster_name() != name) {
    return Refuse("cluster_name",
                  absl::StrCat("\"", from.cluster_name(), "\" is not the resource's name"));
  }
  return ToEndpoints("", from);
}

}  // namespace

std::string TypeUrl(XdsType type) {
  switch (type) {
    case XdsType::kCluster:
      return absl::StrCat(kTypePrefix, "envoy.config.cluster.v3.Cluster");
    case XdsType::kEndpoints:
      return absl::StrCat(kTypePrefix, "envoy.config.endpoint.v3.ClusterLoadAssignment");
    case XdsType::kListener:
      return absl::StrCat(kTypePrefix, "envoy.config.listener.v3.Listener");
    case XdsType::kRoute:
      return absl::StrCat(kTypePrefix, "envoy.config.route.v3.RouteConfiguration");
  }
  return "";
}

std::optional<XdsType> ParseTypeUrl(std::string_view url) {
  for (const XdsType type : kXdsTypes) {
    if (TypeUrl(type) == url) return type;
  }
  return std::nullopt;
}

absl::StatusOr<ClusterSpec> DecodeCluster(const std::string& name, const std::string& any_bytes) {
  auto result = ToCluster(name, any_bytes);
  if (!result.ok()) return WithResource(XdsType::kCluster, name, result.status());
  return result;
}

absl::StatusOr<std::vector<Endpoint>> DecodeEndpoints(const std::string& name,
                                                      const std::string& any_bytes) {
  auto result = ToEndpointsResource(name, any_bytes);
  if (!result.ok()) return WithResource(XdsType::kEndpoints, name, result.status());
  return result;
}

}  // namespace pando::proxy
