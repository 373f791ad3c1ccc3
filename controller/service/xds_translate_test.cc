#include "controller/service/xds_translate.h"

#include <gmock/gmock.h>
#include <google/protobuf/any.pb.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "controller/store/records.h"
#include "envoy/config/route/v3/route.pb.h"

namespace pando::controller {
namespace {

namespace route = ::envoy::config::route::v3;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Text(const ResourceBody& body) {
  google::protobuf::Any any;
  EXPECT_TRUE(any.ParseFromString(body.any_bytes));
  google::protobuf::TextFormat::Printer printer;
  printer.SetExpandAny(true);
  std::string text;
  EXPECT_TRUE(printer.PrintToString(any, &text));
  return text;
}

RoutingConfig::AppRoute Route(const std::string& app, std::vector<std::string> hosts,
                              const std::string& path) {
  return {{app}, std::move(hosts), path, LbPolicy::kLeastRequest};
}

RoutingConfig Routing(std::vector<RoutingConfig::AppRoute> routes) {
  return {std::move(routes), {Gateway{"default", "0.0.0.0", 8080}}};
}

// "host: path=app ..." per virtual host, in order.
std::vector<std::string> VirtualHosts(const RoutingConfig& routing) {
  const auto resources = ToRoutingResources(routing);
  if (!resources.ok()) return {std::string(resources.status().message())};
  google::protobuf::Any any;
  any.ParseFromString(resources->routes.at("default").any_bytes);
  route::RouteConfiguration config;
  EXPECT_TRUE(any.UnpackTo(&config));
  std::vector<std::string> lines;
  for (const auto& host : config.virtual_hosts()) {
    std::string line = host.domains(0) + ":";
    for (const auto& each : host.routes()) {
      const auto& match = each.match();
      line += " " + (match.has_prefix() ? match.prefix() : match.path_separated_prefix()) + "=" +
              each.route().cluster();
    }
    lines.push_back(line);
  }
  return lines;
}

TEST(XdsTranslateTest, TableBecomesAClusterLoadAssignment) {
  UpstreamTable table{{"web"}, 7, {}};
  table.endpoints.push_back(
      {{"web.1-aa"}, "web.1", {"node-1"}, 3, "10.0.0.4", 20001, Health::kHealthy});
  table.endpoints.push_back(
      {{"web.2-bb"}, "web.2", {"node-2"}, 2, "10.0.0.5", 20002, Health::kDraining});
  table.endpoints.push_back(
      {{"web.3-cc"}, "web.3", {"node-3"}, 3, "10.0.0.6", 20003, Health::kSuspect});
  const ResourceBody body = ToEndpointsResource(table);
  EXPECT_EQ(body.generation, 7u);
  const std::string text = Text(body);
  EXPECT_EQ(text.substr(0, text.find("    lb_endpoints {\n", text.find("lb_endpoints {") + 1)),
            R"([type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment] {
  cluster_name: "web"
  endpoints {
    locality {
    }
    lb_endpoints {
      endpoint {
        address {
          socket_address {
            address: "10.0.0.4"
            port_value: 20001
          }
        }
      }
      health_status: HEALTHY
      metadata {
        filter_metadata {
          key: "pando"
          value {
            fields {
              key: "assignment"
              value {
                string_value: "web.1-aa"
              }
            }
            fields {
              key: "instance"
              value {
                string_value: "web.1"
              }
            }
            fields {
              key: "node"
              value {
                string_value: "node-1"
              }
            }
            fields {
              key: "revision"
              value {
                number_value: 3
              }
            }
          }
        }
      }
    }
)");
  EXPECT_THAT(text, ::testing::HasSubstr("health_status: DRAINING"));
  EXPECT_THAT(text, ::testing::HasSubstr("health_status: TIMEOUT"));
  EXPECT_THAT(text, ::testing::HasSubstr("load_balancing_weight {\n      value: 1\n"));
}

TEST(XdsTranslateTest, VersionDependsOnContentOnly) {
  UpstreamTable table{{"web"}, 1, {}};
  const ResourceBody empty = ToEndpointsResource(table);
  table.generation = 2;
  EXPECT_EQ(ToEndpointsResource(table).version, empty.version);
  EXPECT_EQ(ToEndpointsResource(table).generation, 2u);
  table.endpoints.push_back({{"a"}, "web.1", {"n"}, 1, "127.0.0.1", 20000, Health::kHealthy});
  const ResourceBody one = ToEndpointsResource(table);
  EXPECT_NE(one.version, empty.version);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(ToEndpointsResource(table).any_bytes, one.any_bytes);
}

TEST(XdsTranslateTest, EmptyTableIsAnAssignmentWithoutEndpoints) {
  EXPECT_EQ(Text(ToEndpointsResource({{"web"}, 1, {}})),
            R"([type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment] {
  cluster_name: "web"
}
)");
}

TEST(XdsTranslateTest, AnAddressIsPublishedOnceForItsLiveliestInstance) {
  UpstreamTable table{{"web"}, 1, {}};
  table.endpoints.push_back({{"a"}, "web.1", {"n1"}, 1, "10.0.0.1", 20000, Health::kSuspect});
  table.endpoints.push_back({{"b"}, "web.2", {"n2"}, 1, "10.0.0.1", 20000, Health::kHealthy});
  UpstreamTable meant{{"web"}, 1, {table.endpoints[1]}};
  EXPECT_EQ(ToEndpointsResource(table).version, ToEndpointsResource(meant).version);
}

TEST(XdsTranslateTest, AppBecomesACluster) {
  auto routing = Routing({Route("web", {"*"}, "/")});
  routing.routes[0].lb_policy = LbPolicy::kRandom;
  const auto resources = ToRoutingResources(routing);
  ASSERT_TRUE(resources.ok());
  EXPECT_EQ(Text(resources->clusters.at("web")),
            R"([type.googleapis.com/envoy.config.cluster.v3.Cluster] {
  name: "web"
  type: EDS
  eds_cluster_config {
    eds_config {
      ads {
      }
      resource_api_version: V3
    }
  }
  connect_timeout {
    seconds: 1
  }
  lb_policy: RANDOM
  metadata {
    typed_filter_metadata {
      key: "pando.cluster"
      value {
        [type.googleapis.com/pando.xds.v1.ClusterOptions] {
          adaptive: true
        }
      }
    }
  }
  lrs_server {
    self {
    }
  }
}
)");
}

TEST(XdsTranslateTest, BalancingIsSaidInTheWordsOfXdsWhereItHasSome) {
  auto routing = Routing({Route("web", {"*"}, "/")});
  routing.routes[0].lb_policy = LbPolicy::kRingHash;
  v1::AppSpec spec;
  spec.mutable_load_balancing()->set_key(v1::LoadBalancing::HEADER);
  spec.mutable_load_balancing()->set_key_name("x-user");
  spec.mutable_load_balancing()->set_slow_start_ms(10'000);
  spec.mutable_concurrency()->set_kind(v1::Concurrency::FIXED);
  spec.mutable_concurrency()->set_limit(2);
  spec.mutable_queue()->set_max(9);
  spec.mutable_outliers()->set_failures(3);
  routing.routes[0].balancing = spec.SerializeAsString();
  routing.routes[0].split = TrafficSplit{7, 5};
  const auto resources = ToRoutingResources(routing);
  ASSERT_TRUE(resources.ok());
  const std::string cluster = Text(resources->clusters.at("web"));
  for (const char* said : {"lb_policy: RING_HASH", "fixed: 2", "queue_max {\n            value: 9",
                           "split {\n            revision: \"7\"\n            percent: 5",
                           "consecutive_gateway_failure {\n      value: 3",
                           "slow_start_window {\n        seconds: 10"}) {
    EXPECT_THAT(cluster, testing::HasSubstr(said));
  }
  EXPECT_THAT(Text(resources->routes.at("default")), testing::HasSubstr("header_name: \"x-user\""));
}

TEST(XdsTranslateTest, AGatewayWithTlsNamesFilesAndItsRedirectIsAListenerOfItsOwn) {
  RoutingConfig routing = Routing({Route("web", {"*"}, "/")});
  routing.gateways[0].port = 8443;
  routing.gateways[0].tls =
      GatewayTls{{{"/a.pem", "/a.key"}, {"/b.pem", "/b.key"}}, false, 80, 443};
  const auto resources = ToRoutingResources(routing);
  ASSERT_TRUE(resources.ok());
  const std::string secure = Text(resources->listeners.at("default"));
  EXPECT_THAT(secure, ::testing::HasSubstr(R"(
    transport_socket {
      name: "envoy.transport_sockets.tls"
      typed_config {
        [type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext] {
          common_tls_context {
            tls_params {
              tls_minimum_protocol_version: TLSv1_2
            }
            tls_certificates {
              certificate_chain {
                filename: "/a.pem"
              }
              private_key {
                filename: "/a.key"
              }
            }
            tls_certificates {
              certificate_chain {
                filename: "/b.pem"
              }
              private_key {
                filename: "/b.key"
              }
            }
            alpn_protocols: "http/1.1"
          }
)"));
  const std::string redirect = Text(resources->listeners.at("default-redirect"));
  EXPECT_THAT(redirect, ::testing::HasSubstr("port_value: 80\n"));
  EXPECT_THAT(redirect, ::testing::HasSubstr("route_config_name: \"default-redirect\""));
  EXPECT_THAT(redirect, ::testing::Not(::testing::HasSubstr("transport_socket")));
  EXPECT_EQ(Text(resources->routes.at("default-redirect")),
            R"([type.googleapis.com/envoy.config.route.v3.RouteConfiguration] {
  name: "default-redirect"
  virtual_hosts {
    name: "*"
    domains: "*"
    routes {
      match {
        prefix: "/"
      }
      redirect {
        response_code: PERMANENT_REDIRECT
        https_redirect: true
        port_redirect: 443
      }
      name: "https"
    }
  }
}
)");
}

TEST(XdsTranslateTest, GatewayBecomesAListenerAndItsRoutes) {
  const auto resources = ToRoutingResources(Routing({Route("web", {"*"}, "/api/")}));
  ASSERT_TRUE(resources.ok());
  EXPECT_EQ(Text(resources->listeners.at("default")),
            R"([type.googleapis.com/envoy.config.listener.v3.Listener] {
  name: "default"
  address {
    socket_address {
      address: "0.0.0.0"
      port_value: 8080
    }
  }
  filter_chains {
    filters {
      name: "envoy.filters.network.http_connection_manager"
      typed_config {
        [type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager] {
          stat_prefix: "default"
          rds {
            config_source {
              ads {
              }
              resource_api_version: V3
            }
            route_config_name: "default"
          }
          http_filters {
            name: "envoy.filters.http.router"
            typed_config {
              [type.googleapis.com/envoy.extensions.filters.http.router.v3.Router] {
              }
            }
          }
        }
      }
    }
  }
}
)");
  EXPECT_EQ(Text(resources->routes.at("default")),
            R"([type.googleapis.com/envoy.config.route.v3.RouteConfiguration] {
  name: "default"
  virtual_hosts {
    name: "*"
    domains: "*"
    routes {
      match {
        path_separated_prefix: "/api"
      }
      route {
        cluster: "web"
      }
      name: "web"
    }
  }
  validate_clusters {
  }
  ignore_port_in_host_matching: true
}
)");
}

TEST(XdsTranslateTest, WhatAGatewaySaysOfRequestsIsInItsListener) {
  v1::Gateway spec;
  spec.set_name("default");
  spec.set_address("::");
  spec.set_port(80);
  spec.mutable_timeouts()->set_head_ms(5'000);
  spec.mutable_timeouts()->set_idle_ms(1'500);
  spec.mutable_timeouts()->set_stream_idle_ms(60'000);
  spec.mutable_limits()->set_request_line_bytes(4'096);
  spec.mutable_limits()->set_head_bytes(32'768);
  spec.mutable_limits()->set_fields(100);
  spec.set_proxy_protocol(true);
  spec.mutable_forwarded()->set_mode(v1::Forwarded::APPEND);
  spec.mutable_forwarded()->add_trusted("10.0.0.0/8");
  RoutingConfig routing = Routing({Route("web", {"*"}, "/")});
  routing.gateways = {ToGateway(spec)};
  const auto resources = ToRoutingResources(routing);
  ASSERT_TRUE(resources.ok());
  EXPECT_EQ(Text(resources->listeners.at("default")),
            R"([type.googleapis.com/envoy.config.listener.v3.Listener] {
  name: "default"
  address {
    socket_address {
      address: "::"
      port_value: 80
    }
  }
  filter_chains {
    filters {
      name: "envoy.filters.network.http_connection_manager"
      typed_config {
        [type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager] {
          stat_prefix: "default"
          rds {
            config_source {
              ads {
              }
              resource_api_version: V3
            }
            route_config_name: "default"
          }
          http_filters {
            name: "pando.http"
            typed_config {
              [type.googleapis.com/pando.xds.v1.HttpOptions] {
                max_request_line_bytes {
                  value: 4096
                }
                append_untrusted_forwarded: true
              }
            }
            is_optional: true
          }
          http_filters {
            name: "envoy.filters.http.router"
            typed_config {
              [type.googleapis.com/envoy.extensions.filters.http.router.v3.Router] {
              }
            }
          }
          stream_idle_timeout {
            seconds: 60
          }
          max_request_headers_kb {
            value: 32
          }
          common_http_protocol_options {
            idle_timeout {
              seconds: 1
              nanos: 500000000
            }
            max_headers_count {
              value: 100
            }
          }
          request_headers_timeout {
            seconds: 5
          }
          original_ip_detection_extensions {
            name: "envoy.http.original_ip_detection.xff"
            typed_config {
              [type.googleapis.com/envoy.extensions.http.original_ip_detection.xff.v3.XffConfig] {
                xff_trusted_cidrs {
                  cidrs {
                    address_prefix: "10.0.0.0"
                    prefix_len {
                      value: 8
                    }
                  }
                  recurse: true
                }
              }
            }
          }
        }
      }
    }
  }
  listener_filters {
    name: "envoy.filters.listener.proxy_protocol"
    typed_config {
      [type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol] {
      }
    }
  }
}
)");
}

TEST(XdsTranslateTest, WhatAnAppSaysOfRequestsIsInItsClusterAndItsRoutes) {
  RoutingConfig::AppRoute app = Route("web", {"*"}, "/");
  app.bounds = {Millis{250}, Millis{30'000}, Millis{120'000}, 1'048'576, Millis{2'000}};
  const auto resources = ToRoutingResources(Routing({app}));
  ASSERT_TRUE(resources.ok());
  EXPECT_THAT(Text(resources->clusters.at("web")),
              HasSubstr("  connect_timeout {\n    nanos: 250000000\n  }\n"));
  EXPECT_THAT(Text(resources->routes.at("default")), HasSubstr(R"(      route {
        cluster: "web"
        timeout {
          seconds: 120
        }
        retry_policy {
          per_try_timeout {
            seconds: 2
          }
        }
      }
      metadata {
        typed_filter_metadata {
          key: "pando.route"
          value {
            [type.googleapis.com/pando.xds.v1.RouteOptions] {
              first_byte_timeout {
                seconds: 30
              }
              max_body_bytes: 1048576
            }
          }
        }
      }
)"));
}

TEST(XdsTranslateTest, LongestPrefixFirstWithinAHost) {
  EXPECT_THAT(VirtualHosts(Routing({Route("api", {"*"}, "/api"), Route("deep", {"*"}, "/api/v2"),
                                    Route("web", {"*"}, "/")})),
              ElementsAre("*: /api/v2=deep /api=api /=web"));
}

TEST(XdsTranslateTest, AHostKeepsTheRoutesOfTheWildcardsThatCoverIt) {
  EXPECT_THAT(VirtualHosts(Routing(
                  {Route("all", {"*"}, "/"), Route("docs", {"a.example.com"}, "/docs"),
                   Route("wild", {"*.example.com"}, "/x"), Route("other", {"b.org"}, "/")})),
              ElementsAre("*: /=all", "*.example.com: /x=wild /=all",
                          "a.example.com: /docs=docs /x=wild /=all", "b.org: /=other"));
}

TEST(XdsTranslateTest, UnreachableRoutesAreLeftOut) {
  EXPECT_THAT(VirtualHosts(Routing({Route("a", {"*"}, "/"), Route("b", {"*"}, "/"),
                                    Route("c", {"x.org"}, "/"), Route("d", {"*"}, "/d")})),
              ElementsAre("*: /d=d /=a", "x.org: /=c"));
}

TEST(XdsTranslateTest, WhatAClientWouldRefuseIsAnError) {
  EXPECT_THAT(VirtualHosts(Routing({Route("web", {"*"}, "")})),
              ElementsAre("app web: path \"\" does not start with /"));
  EXPECT_THAT(VirtualHosts(Routing({Route("web", {"a*b"}, "/")})),
              ElementsAre("app web: host \"a*b\" is not a domain"));
  auto twice = Routing({});
  twice.gateways.push_back(twice.gateways.front());
  EXPECT_THAT(VirtualHosts(twice), ElementsAre("two gateways named default"));
}

TEST(XdsTranslateTest, TypeUrlsRoundTrip) {
  for (const ResourceType type : kResourceTypes) {
    ResourceType parsed;
    ASSERT_TRUE(ParseTypeUrl(TypeUrl(type), &parsed));
    EXPECT_EQ(parsed, type);
  }
  ResourceType parsed;
  EXPECT_FALSE(ParseTypeUrl("type.googleapis.com/envoy.extensions.Secret", &parsed));
}

}  // namespace
}  // namespace pando::controller
