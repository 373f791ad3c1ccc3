// Listeners and routes; clusters and endpoints are in xds_decode.cc.
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/config/route/v3/route.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "pando/xds/v1/http.pb.h"
#include "proxy/control/xds_decode.h"
#include "proxy/control/xds_decode_balancing.h"
#include "proxy/control/xds_decode_http.h"
#include "proxy/control/xds_decode_tls.h"
#include "proxy/control/xds_field.h"

namespace pando::proxy {
namespace {

namespace hcm = ::envoy::extensions::filters::network::http_connection_manager::v3;
namespace listener = ::envoy::config::listener::v3;
namespace route = ::envoy::config::route::v3;

// ---- listeners ----

absl::Status ReadFilterChain(const listener::FilterChain& chain, Listener& result) {
  const std::string field = "filter_chains[0]";
  if (chain.filter_chain_match().ByteSizeLong() > 0) {
    return Unsupported(Sub(field, "filter_chain_match"));
  }
  if (chain.has_transport_socket()) {
    PANDO_ASSIGN_OR_RETURN(result.tls,
                           ToTlsSettings(Sub(field, "transport_socket"), chain.transport_socket()));
  }
  const std::string filters = Sub(field, "filters");
  if (chain.filters_size() != 1) {
    return Refuse(filters, absl::StrCat("there are ", chain.filters_size(),
                                        ", not one HttpConnectionManager"));
  }
  hcm::HttpConnectionManager manager;
  PANDO_RETURN_IF_ERROR(
      Unpack(Sub(Indexed(filters, 0), "typed_config"), chain.filters(0).typed_config(), manager));
  return ReadManager(Indexed(filters, 0), manager, result);
}

absl::StatusOr<Listener> ToListener(const std::string& name, const std::string& any_bytes) {
  listener::Listener from;
  PANDO_RETURN_IF_ERROR(UnpackResource(any_bytes, from));
  if (from.name().empty()) return NotSet("name");
  if (from.name() != name) {
    return Refuse("name", absl::StrCat("\"", from.name(), "\" is not the resource's name"));
  }
  PANDO_ASSIGN_OR_RETURN(SocketEndpoint socket, ToSocketEndpoint("address", from.address()));
  if (from.has_api_listener()) return Unsupported("api_listener");
  if (from.has_default_filter_chain()) return Unsupported("default_filter_chain");
  if (from.filter_chains_size() != 1) {
    return Refuse("filter_chains",
                  absl::StrCat("there are ", from.filter_chains_size(), ", not 1"));
  }
  Listener result;
  result.name = name;
  result.address = std::move(socket.address);
  result.port = socket.port;
  PANDO_RETURN_IF_ERROR(ReadListenerFilters(from, result.http));
  PANDO_RETURN_IF_ERROR(ReadFilterChain(from.filter_chains(0), result));
  return result;
}

// ---- routes ----

absl::Status ReadMatch(const std::string& field, const route::RouteMatch& from, Route& result) {
  if (from.headers_size() > 0) return Unsupported(Sub(field, "headers"));
  if (from.has_runtime_fraction()) return Unsupported(Sub(field, "runtime_fraction"));
  if (from.has_case_sensitive() && !from.case_sensitive().value()) {
    return Refuse(Sub(field, "case_sensitive"), "false is not supported");
  }
  std::string specifier;
  switch (from.path_specifier_case()) {
    case route::RouteMatch::kPrefix:
      specifier = Sub(field, "prefix");
      result.prefix = from.prefix();
      result.segments = result.prefix == "/";
      break;
    case route::RouteMatch::kPathSeparatedPrefix:
      specifier = Sub(field, "path_separated_prefix");
      result.prefix = from.path_separated_prefix();
      result.segments = true;
      if (absl::EndsWith(result.prefix, "/")) {
        return Refuse(specifier, absl::StrCat("\"", result.prefix, "\" ends with /"));
      }
      break;
    case route::RouteMatch::kPath:
      return Unsupported(Sub(field, "path"));
    case route::RouteMatch::kSafeRegex:
      return Unsupported(Sub(field, "safe_regex"));
    case route::RouteMatch::PATH_SPECIFIER_NOT_SET:
      return NotSet(Sub(field, "prefix"));
  }
  if (!absl::StartsWith(result.prefix, "/")) {
    return Refuse(specifier, absl::StrCat("\"", result.prefix, "\" does not start with /"));
  }
  return absl::OkStatus();
}

// When to try again is the proxy's own judgement, and how often: see core/retry.h.
absl::StatusOr<Millis> ReadRetryPolicy(const std::string& field, const route::RetryPolicy& from) {
  const std::pair<const char*, bool> fields[] = {
      {"retry_on", !from.retry_on().empty()},
      {"num_retries", from.has_num_retries()},
      {"host_selection_retry_max_attempts", from.host_selection_retry_max_attempts() != 0},
      {"retriable_status_codes", from.retriable_status_codes_size() > 0},
      {"retry_back_off", from.has_retry_back_off()}};
  for (const auto& [name, is_set] : fields) {
    if (is_set) return Unsupported(Sub(field, name));
  }
  return ToMillis(Sub(field, "per_try_timeout"), from.per_try_timeout());
}

absl::Status ReadAction(const std::string& field, const route::RouteAction& from, Route& result) {
  switch (from.cluster_specifier_case()) {
    case route::RouteAction::kCluster:
      break;
    case route::RouteAction::kClusterHeader:
      return Unsupported(Sub(field, "cluster_header"));
    case route::RouteAction::kWeightedClusters:
      return Unsupported(Sub(field, "weighted_clusters"));
    case route::RouteAction::CLUSTER_SPECIFIER_NOT_SET:
      return NotSet(Sub(field, "cluster"));
  }
  if (from.cluster().empty()) return NotSet(Sub(field, "cluster"));
  const std::pair<const char*, bool> fields[] = {
      {"prefix_rewrite", !from.prefix_rewrite().empty()},
      {"host_rewrite_literal", from.has_host_rewrite_literal()},
      {"auto_host_rewrite", from.auto_host_rewrite().value()},
      {"idle_timeout", from.has_idle_timeout()},
      {"max_stream_duration", from.has_max_stream_duration()}};
  for (const auto& [name, is_set] : fields) {
    if (is_set) return Unsupported(Sub(field, name));
  }
  PANDO_RETURN_IF_ERROR(ReadHashPolicy(field, from, result.hash));
  result.cluster = from.cluster();
  if (from.has_timeout()) {
    PANDO_ASSIGN_OR_RETURN(result.limits.total_timeout,
                           ToMillis(Sub(field, "timeout"), from.timeout()));
  }
  if (from.has_retry_policy()) {
    PANDO_ASSIGN_OR_RETURN(result.limits.per_try_timeout,
                           ReadRetryPolicy(Sub(field, "retry_policy"), from.retry_policy()));
  }
  return absl::OkStatus();
}

absl::Status ReadRedirect(const std::string& field, const route::RedirectAction& from,
                          Route& result) {
  const std::pair<const char*, bool> fields[] = {{"host_redirect", !from.host_redirect().empty()},
                                                 {"path_redirect", from.has_path_redirect()},
                                                 {"prefix_rewrite", from.has_prefix_rewrite()},
                                                 {"scheme_redirect", from.has_scheme_redirect()},
                                                 {"strip_query", from.strip_query()}};
  for (const auto& [name, is_set] : fields) {
    if (is_set) return Unsupported(Sub(field, name));
  }
  // To the URL it came by it would lead in a circle.
  if (!from.https_redirect()) return Refuse(Sub(field, "https_redirect"), "is not true");
  if (from.port_redirect() > 65'535) {
    return Refuse(Sub(field, "port_redirect"),
                  absl::StrCat(from.port_redirect(), " is not in 0-65535"));
  }
  constexpr int kStatuses[] = {301, 302, 303, 307, 308};
  if (!route::RedirectAction::RedirectResponseCode_IsValid(from.response_code())) {
    return Refuse(Sub(field, "response_code"),
                  absl::StrCat(static_cast<int>(from.response_code()), " is not known"));
  }
  result.redirect = {kStatuses[from.response_code()], static_cast<uint16_t>(from.port_redirect())};
  return absl::OkStatus();
}

// What only our own control plane says.
absl::Status ReadRouteOptions(const std::string& field, const route::Route& from,
                              RouteLimits& result) {
  const auto& metadata = from.metadata().typed_filter_metadata();
  const auto found = metadata.find("pando.route");
  if (found == metadata.end()) return absl::OkStatus();
  const std::string at = Sub(field, "metadata.typed_filter_metadata[pando.route]");
  ::pando::xds::v1::RouteOptions options;
  PANDO_RETURN_IF_ERROR(Unpack(at, found->second, options));
  if (options.has_first_byte_timeout()) {
    PANDO_ASSIGN_OR_RETURN(result.first_byte_timeout,
                           ToMillis(Sub(at, "first_byte_timeout"), options.first_byte_timeout()));
  }
  result.max_body_bytes = options.max_body_bytes();
  return absl::OkStatus();
}

absl::StatusOr<Route> ToRoute(const std::string& field, const route::Route& from) {
  Route result;
  if (!from.has_match()) return NotSet(Sub(field, "match"));
  PANDO_RETURN_IF_ERROR(ReadRouteOptions(field, from, result.limits));
  PANDO_RETURN_IF_ERROR(ReadMatch(Sub(field, "match"), from.match(), result));
  switch (from.action_case()) {
    case route::Route::kRoute:
      PANDO_RETURN_IF_ERROR(ReadAction(Sub(field, "route"), from.route(), result));
      return result;
    case route::Route::kRedirect:
      PANDO_RETURN_IF_ERROR(ReadRedirect(Sub(field, "redirect"), from.redirect(), result));
      return result;
    case route::Route::kDirectResponse:
      return Unsupported(Sub(field, "direct_response"));
    case route::Route::kNonForwardingAction:
      return Unsupported(Sub(field, "non_forwarding_action"));
    case route::Route::ACTION_NOT_SET:
      break;
  }
  return NotSet(Sub(field, "route"));
}

// "*", "*.example.com" or a whole host name, in lower case.
absl::StatusOr<std::string> ToDomain(const std::string& field, const std::string& text) {
  const std::string domain = absl::AsciiStrToLower(text);
  const bool wildcard = absl::StartsWith(domain, "*.") && domain.size() > 2;
  const std::string rest = domain == "*" ? "x" : wildcard ? domain.substr(2) : domain;
  if (rest.empty() || rest.find_first_of("*/: \t\r\n") != std::string::npos) {
    return Refuse(field, absl::StrCat("\"", text,
                                      "\" is not a domain (use *, *.example.com or "
                                      "www.example.com)"));
  }
  return domain;
}

absl::StatusOr<VirtualHost> ToVirtualHost(const std::string& field, const route::VirtualHost& from,
                                          std::set<std::string>& all_domains) {
  VirtualHost result;
  if (from.has_retry_policy()) return Unsupported(Sub(field, "retry_policy"));
  if (from.domains_size() == 0) return NotSet(Sub(field, "domains"));
  for (int i = 0; i < from.domains_size(); ++i) {
    const std::string domain_field = Indexed(Sub(field, "domains"), i);
    PANDO_ASSIGN_OR_RETURN(std::string domain, ToDomain(domain_field, from.domains(i)));
    if (!all_domains.insert(domain).second) {
      return Refuse(domain_field, absl::StrCat("\"", domain, "\" is there twice"));
    }
    result.domains.push_back(std::move(domain));
  }
  for (int i = 0; i < from.routes_size(); ++i) {
    PANDO_ASSIGN_OR_RETURN(Route added, ToRoute(Indexed(Sub(field, "routes"), i), from.routes(i)));
    result.routes.push_back(std::move(added));
  }
  return result;
}

absl::StatusOr<RouteTable> ToRoutes(const std::string& name, const std::string& any_bytes) {
  route::RouteConfiguration from;
  PANDO_RETURN_IF_ERROR(UnpackResource(any_bytes, from));
  if (from.name() != name) {
    return Refuse("name", absl::StrCat("\"", from.name(), "\" is not the resource's name"));
  }
  RouteTable result;
  result.name = name;
  std::set<std::string> domains;
  for (int i = 0; i < from.virtual_hosts_size(); ++i) {
    PANDO_ASSIGN_OR_RETURN(VirtualHost added, ToVirtualHost(Indexed("virtual_hosts", i),
                                                            from.virtual_hosts(i), domains));
    result.virtual_hosts.push_back(std::move(added));
  }
  return result;
}

}  // namespace

absl::StatusOr<Listener> DecodeListener(const std::string& name, const std::string& any_bytes) {
  auto result = ToListener(name, any_bytes);
  if (!result.ok()) return WithResource(XdsType::kListener, name, result.status());
  return result;
}

absl::StatusOr<RouteTable> DecodeRoutes(const std::string& name, const std::string& any_bytes) {
  auto result = ToRoutes(name, any_bytes);
  if (!result.ok()) return WithResource(XdsType::kRoute, name, result.status());
  return result;
}

}  // namespace pando::proxy
