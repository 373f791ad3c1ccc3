#include "controller/service/xds_translate.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/ip_range.h"
#include "common/base/status_macros.h"
#include "common/runtime/digest.h"
#include "controller/service/xds_balancing.h"
#include "controller/store/records.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/endpoint/v3/endpoint.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/config/route/v3/route.pb.h"
#include "envoy/extensions/filters/http/router/v3/router.pb.h"
#include "envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "envoy/extensions/http/original_ip_detection/xff/v3/xff.pb.h"
#include "envoy/extensions/transport_sockets/tls/v3/tls.pb.h"
#include "pando/xds/v1/http.pb.h"

namespace pando::controller {
namespace {

namespace cluster = ::envoy::config::cluster::v3;
namespace core = ::envoy::config::core::v3;
namespace endpoint = ::envoy::config::endpoint::v3;
namespace hcm = ::envoy::extensions::filters::network::http_connection_manager::v3;
namespace listener = ::envoy::config::listener::v3;
namespace route = ::envoy::config::route::v3;
namespace tls = ::envoy::extensions::transport_sockets::tls::v3;
namespace xds_v1 = ::pando::xds::v1;

constexpr char kTypePrefix[] = "type.googleapis.com/";

// Maps in a message have no order of their own: without this, equal messages could differ in bytes.
std::string SerializeDeterministically(const google::protobuf::Message& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return bytes;
}

google::protobuf::Any Pack(const google::protobuf::Message& message) {
  google::protobuf::Any any;
  any.set_type_url(absl::StrCat(kTypePrefix, message.GetDescriptor()->full_name()));
  any.set_value(SerializeDeterministically(message));
  return any;
}

ResourceBody ToBody(const google::protobuf::Message& message, uint64_t generation = 0) {
  ResourceBody body;
  body.any_bytes = SerializeDeterministically(Pack(message));
  body.version = ContentVersion(body.any_bytes);
  body.generation = generation;
  return body;
}

void SetMillis(Millis from, google::protobuf::Duration& to) {
  to.set_seconds(from.count() / 1'000);
  to.set_nanos(static_cast<int32_t>(from.count() % 1'000) * 1'000'000);
}

void SetIfAny(uint32_t millis, google::protobuf::Duration* (hcm::HttpConnectionManager::*field)(),
              hcm::HttpConnectionManager& to) {
  if (millis > 0) SetMillis(Millis{millis}, *(to.*field)());
}

core::ConfigSource FromAds() {
  core::ConfigSource source;
  source.mutable_ads();
  source.set_resource_api_version(core::V3);
  return source;
}

core::Address ToAddress(const std::string& address, uint16_t port) {
  core::Address result;
  result.mutable_socket_address()->set_address(address);
  result.mutable_socket_address()->set_port_value(port);
  return result;
}

core::HealthStatus ToHealthStatus(Health health) {
  switch (health) {
    case Health::kHealthy:
      return core::HEALTHY;
    case Health::kDraining:
      return core::DRAINING;
    case Health::kSuspect:
      return core::TIMEOUT;
  }
  return core::UNKNOWN;
}

cluster::Cluster ToCluster(const RoutingConfig::AppRoute& app) {
  cluster::Cluster result;
  result.set_name(app.app.value);
  result.set_type(cluster::Cluster::EDS);
  *result.mutable_eds_cluster_config()->mutable_eds_config() = FromAds();
  SetMillis(app.bounds.connect_timeout, *result.mutable_connect_timeout());
  SetBalancing(app, result);
  result.mutable_lrs_server()->mutable_self();
  return result;
}

tls::DownstreamTlsContext ToTlsContext(const GatewayTls& from) {
  using Parameters = tls::TlsParameters;
  tls::DownstreamTlsContext result;
  tls::CommonTlsContext& common = *result.mutable_common_tls_context();
  common.mutable_tls_params()->set_tls_minimum_protocol_version(
      from.only_tls13 ? Parameters::TLSv1_3 : Parameters::TLSv1_2);
  for (const GatewayTls::Certificate& certificate : from.certificates) {
    tls::TlsCertificate& added = *common.add_tls_certificates();
    added.mutable_certificate_chain()->set_filename(certificate.cert);
    added.mutable_private_key()->set_filename(certificate.key);
  }
  common.add_alpn_protocols("http/1.1");
  return result;
}

// Whose word about a request's way is taken.
void SetTrusted(const v1::Forwarded& from, hcm::HttpConnectionManager& manager) {
  if (from.trusted().empty()) return;
  envoy::extensions::http::original_ip_detection::xff::v3::XffConfig xff;
  xff.mutable_xff_trusted_cidrs()->set_recurse(true);
  for (const std::string& text : from.trusted()) {
    // The parser of specs lets nothing else pass.
    const std::optional<IpRange> range = IpRange::Parse(text);
    if (!range) continue;
    core::CidrRange& added = *xff.mutable_xff_trusted_cidrs()->add_cidrs();
    added.set_address_prefix(range->address());
    added.mutable_prefix_len()->set_value(static_cast<uint32_t>(range->prefix_length()));
  }
  core::TypedExtensionConfig& extension = *manager.add_original_ip_detection_extensions();
  extension.set_name("envoy.http.original_ip_detection.xff");
  *extension.mutable_typed_config() = Pack(xff);
}

void SetHttpOptions(const v1::Gateway& from, hcm::HttpConnectionManager& manager) {
  using Manager = hcm::HttpConnectionManager;
  SetIfAny(from.timeouts().head_ms(), &Manager::mutable_request_headers_timeout, manager);
  SetIfAny(from.timeouts().stream_idle_ms(), &Manager::mutable_stream_idle_timeout, manager);
  if (from.timeouts().idle_ms() > 0) {
    SetMillis(Millis{from.timeouts().idle_ms()},
              *manager.mutable_common_http_protocol_options()->mutable_idle_timeout());
  }
  if (from.limits().fields() > 0) {
    manager.mutable_common_http_protocol_options()->mutable_max_headers_count()->set_value(
        from.limits().fields());
  }
  if (from.limits().head_bytes() > 0) {
    manager.mutable_max_request_headers_kb()->set_value(from.limits().head_bytes() / 1'024);
  }
  SetTrusted(from.forwarded(), manager);

  xds_v1::HttpOptions options;
  if (from.limits().request_line_bytes() > 0) {
    options.mutable_max_request_line_bytes()->set_value(from.limits().request_line_bytes());
  }
  options.set_append_untrusted_forwarded(from.forwarded().mode() == v1::Forwarded::APPEND);
  options.set_rfc7239(from.forwarded().rfc7239());
  options.set_pass_traces_only(from.forwarded().pass_traces_only());
  if (options.ByteSizeLong() == 0) return;
  hcm::HttpFilter& filter = *manager.add_http_filters();
  filter.set_name("pando.http");
  filter.set_is_optional(true);
  *filter.mutable_typed_config() = Pack(options);
}

// `name` is that of the listener and of its routes; `spec` is of the gateway it belongs to.
listener::Listener ToListener(const std::string& name, const std::string& address, uint16_t port,
                              const v1::Gateway& spec) {
  hcm::HttpConnectionManager manager;
  manager.set_stat_prefix(name);
  *manager.mutable_rds()->mutable_config_source() = FromAds();
  manager.mutable_rds()->set_route_config_name(name);
  SetHttpOptions(spec, manager);
  hcm::HttpFilter& router = *manager.add_http_filters();
  router.set_name("envoy.filters.http.router");
  *router.mutable_typed_config() = Pack(envoy::extensions::filters::http::router::v3::Router());

  listener::Listener result;
  result.set_name(name);
  *result.mutable_address() = ToAddress(address, port);
  if (spec.proxy_protocol()) {
    listener::ListenerFilter& proxy_protocol = *result.add_listener_filters();
    proxy_protocol.set_name("envoy.filters.listener.proxy_protocol");
    *proxy_protocol.mutable_typed_config() =
        Pack(envoy::extensions::filters::listener::proxy_protocol::v3::ProxyProtocol());
  }
  listener::Filter& filter = *result.add_filter_chains()->add_filters();
  filter.set_name("envoy.filters.network.http_connection_manager");
  *filter.mutable_typed_config() = Pack(manager);
  return result;
}

listener::Listener ToListener(const Gateway& gateway) {
  listener::Listener result =
      ToListener(gateway.name, gateway.address, gateway.port, ToGatewaySpec(gateway));
  if (gateway.tls) {
    core::TransportSocket& socket = *result.mutable_filter_chains(0)->mutable_transport_socket();
    socket.set_name("envoy.transport_sockets.tls");
    *socket.mutable_typed_config() = Pack(ToTlsContext(*gateway.tls));
  }
  return result;
}

// Sends everybody from plain HTTP to the gateway's HTTPS. 308: also a POST stays what it is.
route::RouteConfiguration ToRedirectRoutes(const Gateway& gateway) {
  route::RouteConfiguration result;
  result.set_name(gateway.RedirectName());
  route::VirtualHost& host = *result.add_virtual_hosts();
  host.set_name("*");
  host.add_domains("*");
  route::Route& added = *host.add_routes();
  added.set_name("https");
  added.mutable_match()->set_prefix("/");
  route::RedirectAction& redirect = *added.mutable_redirect();
  redirect.set_https_redirect(true);
  redirect.set_port_redirect(gateway.tls->redirect_to);
  redirect.set_response_code(route::RedirectAction::PERMANENT_REDIRECT);
  return result;
}

// Clients refuse a table that has an address twice. That happens when a host with two nodes gave
// the port of one that is silent or stopping to an instance of the other: the livelier one is
// meant.
std::vector<const Endpoint*> WithDistinctAddresses(const UpstreamTable& table) {
  std::vector<const Endpoint*> result;
  std::map<std::pair<std::string, uint16_t>, size_t> seen;
  for (const Endpoint& endpoint : table.endpoints) {
    const auto [at, is_new] = seen.try_emplace({endpoint.address, endpoint.port}, result.size());
    if (is_new) {
      result.push_back(&endpoint);
    } else if (endpoint.health < result[at->second]->health) {  // in order of liveliness
      result[at->second] = &endpoint;
    }
  }
  return result;
}

// "/api/" and "/api" are the same prefix; "/" is all.
std::string NormalPath(const std::string& path) {
  const auto stripped = absl::StripSuffix(path, "/");
  return stripped.empty() ? "/" : std::string(stripped);
}

// Does everything `host` stands for also match the wildcard `domain`?
bool Covers(const std::string& domain, const std::string& host) {
  if (domain == "*") return true;
  return absl::StartsWith(domain, "*") && absl::EndsWith(host, domain.substr(1));
}

// Longest prefix first, as the first match wins; equal ones by app, to be the same every time.
std::vector<const RoutingConfig::AppRoute*> RoutesOf(const RoutingConfig& routing,
                                                     const std::string& host) {
  std::vector<const RoutingConfig::AppRoute*> routes;
  for (const RoutingConfig::AppRoute& app : routing.routes) {
    if (std::find(app.hosts.begin(), app.hosts.end(), host) != app.hosts.end()) {
      routes.push_back(&app);
    }
  }
  std::stable_sort(routes.begin(), routes.end(), [](const auto* a, const auto* b) {
    return NormalPath(a->path).size() > NormalPath(b->path).size();
  });
  return routes;
}

void AddRoute(const RoutingConfig::AppRoute& app, route::VirtualHost& host,
              std::set<std::string>& matched) {
  const std::string path = NormalPath(app.path);
  // Behind "/" or the same path nothing is ever reached.
  if (matched.count("/") > 0 || !matched.insert(path).second) return;
  route::Route& added = *host.add_routes();
  added.set_name(app.app.value);
  if (path == "/") {
    added.mutable_match()->set_prefix(path);
  } else {
    added.mutable_match()->set_path_separated_prefix(path);
  }
  added.mutable_route()->set_cluster(app.app.value);
  SetHashPolicy(app, *added.mutable_route());
  if (app.bounds.total_timeout > Millis{0}) {
    SetMillis(app.bounds.total_timeout, *added.mutable_route()->mutable_timeout());
  }
  if (app.bounds.per_try_timeout > Millis{0}) {
    SetMillis(app.bounds.per_try_timeout,
              *added.mutable_route()->mutable_retry_policy()->mutable_per_try_timeout());
  }
  xds_v1::RouteOptions options;
  if (app.bounds.first_byte_timeout > Millis{0}) {
    SetMillis(app.bounds.first_byte_timeout, *options.mutable_first_byte_timeout());
  }
  options.set_max_body_bytes(app.bounds.max_body_bytes);
  if (options.ByteSizeLong() == 0) return;
  (*added.mutable_metadata()->mutable_typed_filter_metadata())["pando.route"] = Pack(options);
}

// A request sees only the most specific virtual host that matches its Host header. So that an app
// on "*" is not hidden by another app's own host, a host carries the routes of the wildcards that
// cover it, after its own.
route::VirtualHost ToVirtualHost(const RoutingConfig& routing, const std::string& host,
                                 const std::set<std::string>& hosts) {
  route::VirtualHost result;
  result.set_name(host);
  result.add_domains(host);
  std::vector<std::string> domains;
  for (const std::string& domain : hosts) {
    if (domain != host && Covers(domain, host)) domains.push_back(domain);
  }
  std::stable_sort(domains.begin(), domains.end(),
                   [](const auto& a, const auto& b) { return a.size() > b.size(); });
  domains.insert(domains.begin(), host);
  std::set<std::string> matched;
  for (const std::string& domain : domains) {
    for (const auto* app : RoutesOf(routing, domain)) AddRoute(*app, result, matched);
  }
  return result;
}

absl::Status Validate(const RoutingConfig& routing) {
  for (const RoutingConfig::AppRoute& app : routing.routes) {
    if (app.app.empty()) return absl::InvalidArgumentError("a route without an app");
    if (!absl::StartsWith(app.path, "/")) {
      return absl::InvalidArgumentError(
          absl::StrCat("app ", app.app.value, ": path \"", app.path, "\" does not start with /"));
    }
    for (const std::string& host : app.hosts) {
      if (host.empty() || host.find('*', 1) != std::string::npos) {
        return absl::InvalidArgumentError(
            absl::StrCat("app ", app.app.value, ": host \"", host, "\" is not a domain"));
      }
    }
  }
  std::set<std::string> names;
  for (const Gateway& gateway : routing.gateways) {
    if (gateway.name.empty() || gateway.address.empty() || gateway.port == 0) {
      return absl::InvalidArgumentError("a gateway without name, address or port");
    }
    if (!names.insert(gateway.name).second) {
      return absl::InvalidArgumentError(absl::StrCat("two gateways named ", gateway.name));
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string TypeUrl(ResourceType type) {
  switch (type) {
    case ResourceType::kCluster:
      return absl::StrCat(kTypePrefix, "envoy.config.cluster.v3.Cluster");
    case ResourceType::kEndpoints:
      return absl::StrCat(kTypePrefix, "envoy.config.endpoint.v3.ClusterLoadAssignment");
    case ResourceType::kListener:
      return absl::StrCat(kTypePrefix, "envoy.config.listener.v3.Listener");
    case ResourceType::kRoute:
      return absl::StrCat(kTypePrefix, "envoy.config.route.v3.RouteConfiguration");
  }
  return "";
}

std::string ShortName(ResourceType type) {
  switch (type) {
    case ResourceType::kCluster:
      return "cds";
    case ResourceType::kEndpoints:
      return "eds";
    case ResourceType::kListener:
      return "lds";
    case ResourceType::kRoute:
      return "rds";
  }
  return "";
}

bool ParseTypeUrl(const std::string& url, ResourceType* type) {
  for (const ResourceType candidate : kResourceTypes) {
    if (TypeUrl(candidate) != url) continue;
    *type = candidate;
    return true;
  }
  return false;
}

ResourceBody ToEndpointsResource(const UpstreamTable& table) {
  endpoint::ClusterLoadAssignment result;
  result.set_cluster_name(table.app.value);
  if (!table.endpoints.empty()) {
    endpoint::LocalityLbEndpoints& group = *result.add_endpoints();
    group.mutable_locality();
    group.mutable_load_balancing_weight()->set_value(1);
    for (const Endpoint* each : WithDistinctAddresses(table)) {
      const Endpoint& from = *each;
      endpoint::LbEndpoint& added = *group.add_lb_endpoints();
      *added.mutable_endpoint()->mutable_address() = ToAddress(from.address, from.port);
      added.set_health_status(ToHealthStatus(from.health));
      auto& fields =
          *(*added.mutable_metadata()->mutable_filter_metadata())["pando"].mutable_fields();
      fields["instance"].set_string_value(from.instance);
      fields["assignment"].set_string_value(from.assignment.value);
      fields["node"].set_string_value(from.node.value);
      fields["revision"].set_number_value(from.revision);
    }
  }
  return ToBody(result, table.generation);
}

absl::StatusOr<RoutingResources> ToRoutingResources(const RoutingConfig& routing) {
  PANDO_RETURN_IF_ERROR(Validate(routing));
  RoutingResources result;
  std::set<std::string> hosts;
  for (const RoutingConfig::AppRoute& app : routing.routes) {
    result.clusters[app.app.value] = ToBody(ToCluster(app));
    hosts.insert(app.hosts.begin(), app.hosts.end());
  }
  route::RouteConfiguration routes;
  for (const std::string& host : hosts) {
    *routes.add_virtual_hosts() = ToVirtualHost(routing, host, hosts);
  }
  routes.mutable_validate_clusters()->set_value(false);
  routes.set_ignore_port_in_host_matching(true);
  for (const Gateway& gateway : routing.gateways) {
    result.listeners[gateway.name] = ToBody(ToListener(gateway));
    routes.set_name(gateway.name);
    result.routes[gateway.name] = ToBody(routes);
    if (gateway.tls && gateway.tls->redirect_from != 0) {
      result.listeners[gateway.RedirectName()] =
          ToBody(ToListener(gateway.RedirectName(), gateway.address, gateway.tls->redirect_from,
                            ToGatewaySpec(gateway)));
      result.routes[gateway.RedirectName()] = ToBody(ToRedirectRoutes(gateway));
    }
  }
  return result;
}

}  // namespace pando::controller
