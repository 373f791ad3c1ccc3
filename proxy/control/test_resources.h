// xDS resources as the controller makes them, for tests to take and spoil.
#pragma once

#include <google/protobuf/any.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/endpoint/v3/endpoint.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/config/route/v3/route.pb.h"
#include "envoy/extensions/filters/http/router/v3/router.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "envoy/extensions/transport_sockets/tls/v3/tls.pb.h"

namespace pando::proxy {

namespace hcm = ::envoy::extensions::filters::network::http_connection_manager::v3;
namespace xds_cluster = ::envoy::config::cluster::v3;
namespace xds_core = ::envoy::config::core::v3;
namespace xds_endpoint = ::envoy::config::endpoint::v3;
namespace xds_listener = ::envoy::config::listener::v3;
namespace xds_route = ::envoy::config::route::v3;
namespace xds_tls = ::envoy::extensions::transport_sockets::tls::v3;

// The same bytes every time, also for maps: they are compared, and hashed to versions.
inline google::protobuf::Any Pack(const google::protobuf::Message& message) {
  google::protobuf::Any any;
  any.set_type_url("type.googleapis.com/" + message.GetDescriptor()->full_name());
  google::protobuf::io::StringOutputStream stream(any.mutable_value());
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  return any;
}

inline std::string AnyBytes(const google::protobuf::Message& message) {
  return Pack(message).SerializeAsString();
}

inline void SetAddress(xds_core::Address& address, const std::string& host, uint32_t port) {
  address.mutable_socket_address()->set_address(host);
  address.mutable_socket_address()->set_port_value(port);
}

inline xds_cluster::Cluster GoodCluster(const std::string& name = "web") {
  xds_cluster::Cluster cluster;
  cluster.set_name(name);
  cluster.set_type(xds_cluster::Cluster::EDS);
  cluster.mutable_eds_cluster_config()->mutable_eds_config()->mutable_ads();
  cluster.mutable_connect_timeout()->set_seconds(1);
  cluster.set_lb_policy(xds_cluster::Cluster::LEAST_REQUEST);
  cluster.mutable_lrs_server()->mutable_self();
  return cluster;
}

inline xds_endpoint::LbEndpoint& AddEndpoint(xds_endpoint::ClusterLoadAssignment& to,
                                             const std::string& host, uint32_t port,
                                             xds_core::HealthStatus health = xds_core::HEALTHY,
                                             const std::string& assignment = "") {
  if (to.endpoints().empty()) {
    to.add_endpoints()->mutable_locality();
    to.mutable_endpoints(0)->mutable_load_balancing_weight()->set_value(1);
  }
  xds_endpoint::LbEndpoint& added = *to.mutable_endpoints(0)->add_lb_endpoints();
  SetAddress(*added.mutable_endpoint()->mutable_address(), host, port);
  added.set_health_status(health);
  if (!assignment.empty()) {
    auto& fields =
        *(*added.mutable_metadata()->mutable_filter_metadata())["pando"].mutable_fields();
    fields["instance"].set_string_value(assignment.substr(0, assignment.find('-')));
    fields["assignment"].set_string_value(assignment);
    fields["revision"].set_number_value(7);
  }
  return added;
}

inline xds_endpoint::ClusterLoadAssignment GoodEndpoints(const std::string& name = "web") {
  xds_endpoint::ClusterLoadAssignment result;
  result.set_cluster_name(name);
  AddEndpoint(result, "127.0.0.1", 20001, xds_core::HEALTHY, "web.1-aaaa");
  return result;
}

inline hcm::HttpConnectionManager GoodManager(const std::string& routes = "default") {
  hcm::HttpConnectionManager manager;
  manager.set_stat_prefix(routes);
  manager.mutable_rds()->mutable_config_source()->mutable_ads();
  manager.mutable_rds()->set_route_config_name(routes);
  hcm::HttpFilter& router = *manager.add_http_filters();
  router.set_name("envoy.filters.http.router");
  *router.mutable_typed_config() = Pack(envoy::extensions::filters::http::router::v3::Router());
  return manager;
}

inline xds_listener::Listener GoodListener(
    const std::string& name = "default", uint32_t port = 8080,
    const hcm::HttpConnectionManager& manager = GoodManager()) {
  xds_listener::Listener listener;
  listener.set_name(name);
  SetAddress(*listener.mutable_address(), "127.0.0.1", port);
  *listener.add_filter_chains()->add_filters()->mutable_typed_config() = Pack(manager);
  return listener;
}

inline xds_tls::DownstreamTlsContext GoodTls() {
  xds_tls::DownstreamTlsContext context;
  auto& certificate = *context.mutable_common_tls_context()->add_tls_certificates();
  certificate.mutable_certificate_chain()->set_filename("/a.pem");
  certificate.mutable_private_key()->set_filename("/a.key");
  return context;
}

inline xds_route::RouteConfiguration GoodRoutes(const std::string& name = "default",
                                                const std::string& cluster = "web") {
  xds_route::RouteConfiguration routes;
  routes.set_name(name);
  xds_route::VirtualHost& host = *routes.add_virtual_hosts();
  host.set_name("*");
  host.add_domains("*");
  xds_route::Route& route = *host.add_routes();
  route.mutable_match()->set_prefix("/");
  route.mutable_route()->set_cluster(cluster);
  routes.mutable_validate_clusters()->set_value(false);
  routes.set_ignore_port_in_host_matching(true);
  return routes;
}

}  // namespace pando::proxy
