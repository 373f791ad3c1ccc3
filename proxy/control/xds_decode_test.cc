#include "proxy/control/xds_decode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol.pb.h"
#include "envoy/extensions/http/original_ip_detection/xff/v3/xff.pb.h"
#include "pando/xds/v1/http.pb.h"
#include "proxy/control/test_resources.h"

namespace pando::proxy {
namespace {

using ::envoy::extensions::filters::listener::proxy_protocol::v3::ProxyProtocol;
using ::envoy::extensions::http::original_ip_detection::xff::v3::XffConfig;

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

template <class Message>
struct Case {
  std::function<void(Message&)> spoil;
  std::string want;
};

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST(XdsDecodeTest, TypeUrlsGoBothWays) {
  for (const XdsType type : kXdsTypes) EXPECT_EQ(ParseTypeUrl(TypeUrl(type)), type);
  EXPECT_EQ(ParseTypeUrl("type.googleapis.com/envoy.config.core.v3.Node"), std::nullopt);
}

TEST(XdsDecodeTest, BytesOfAnotherKindAreRefused) {
  EXPECT_EQ(Message(DecodeCluster("web", "\xff\xff").status()),
            "cluster web: resource: the bytes are not an Any");
  EXPECT_EQ(Message(DecodeCluster("web", AnyBytes(GoodEndpoints())).status()),
            "cluster web: resource: type_url is "
            "\"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment\", not "
            "\"type.googleapis.com/envoy.config.cluster.v3.Cluster\"");
  google::protobuf::Any any;
  any.set_type_url(TypeUrl(XdsType::kRoute));
  any.set_value("\xff");
  EXPECT_EQ(Message(DecodeRoutes("default", any.SerializeAsString()).status()),
            "route default: resource: the bytes are not of its type");
}

// ---- clusters ----

TEST(DecodeClusterTest, ReadsAnEdsCluster) {
  const auto cluster = DecodeCluster("web", AnyBytes(GoodCluster()));
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_EQ(cluster->name, "web");
  EXPECT_EQ(cluster->lb_policy, LbPolicy::kLeastRequest);
  EXPECT_EQ(cluster->connect_timeout, Millis{1'000});
  EXPECT_EQ(cluster->endpoints_name, "web");
  EXPECT_FALSE(cluster->fixed_endpoints);
}

TEST(DecodeClusterTest, ReadsServiceNameAndDefaults) {
  auto from = GoodCluster();
  from.mutable_eds_cluster_config()->set_service_name("web-eds");
  from.clear_connect_timeout();
  from.set_lb_policy(xds_cluster::Cluster::ROUND_ROBIN);
  const auto cluster = DecodeCluster("web", AnyBytes(from));
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_EQ(cluster->endpoints_name, "web-eds");
  EXPECT_EQ(cluster->connect_timeout, Millis{5'000});
  EXPECT_EQ(cluster->lb_policy, LbPolicy::kRoundRobin);
}

TEST(DecodeClusterTest, ReadsInlineEndpoints) {
  auto from = GoodCluster();
  from.set_type(xds_cluster::Cluster::STATIC);
  *from.mutable_load_assignment() = GoodEndpoints();
  const auto cluster = DecodeCluster("web", AnyBytes(from));
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  ASSERT_TRUE(cluster->fixed_endpoints);
  EXPECT_THAT(*cluster->fixed_endpoints, SizeIs(1));
}

TEST(DecodeClusterTest, TakesTheFirstKnownLoadBalancingPolicy) {
  auto from = GoodCluster();
  from.set_lb_policy(xds_cluster::Cluster::CLUSTER_PROVIDED);  // superseded
  for (const char* name : {"client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin",
                           "random.v3.Random", "round_robin.v3.RoundRobin"}) {
    from.mutable_load_balancing_policy()
        ->add_policies()
        ->mutable_typed_extension_config()
        ->mutable_typed_config()
        ->set_type_url(
            absl::StrCat("type.googleapis.com/envoy.extensions.load_balancing_policies.", name));
  }
  const auto cluster = DecodeCluster("web", AnyBytes(from));
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_EQ(cluster->lb_policy, LbPolicy::kRandom);
}

void SetOwnOptions(xds_cluster::Cluster& cluster,
                   const std::function<void(::pando::xds::v1::ClusterOptions&)>& set) {
  ::pando::xds::v1::ClusterOptions options;
  set(options);
  (*cluster.mutable_metadata()->mutable_typed_filter_metadata())["pando.cluster"].PackFrom(options);
}

TEST(DecodeClusterTest, ReadsHowRequestsAreSpread) {
  xds_cluster::Cluster from = GoodCluster();
  from.set_lb_policy(xds_cluster::Cluster::MAGLEV);
  auto& detection = *from.mutable_outlier_detection();
  detection.mutable_consecutive_gateway_failure()->set_value(3);
  detection.mutable_base_ejection_time()->set_seconds(2);
  detection.mutable_max_ejection_time()->set_seconds(20);
  detection.mutable_max_ejection_percent()->set_value(30);
  detection.mutable_enforcing_success_rate()->set_value(0);
  from.mutable_common_lb_config()->mutable_healthy_panic_threshold()->set_value(25);
  from.mutable_least_request_lb_config()
      ->mutable_slow_start_config()
      ->mutable_slow_start_window()
      ->set_seconds(10);
  SetOwnOptions(from, [](auto& options) {
    options.set_adaptive(true);
    options.mutable_queue_max()->set_value(7);
    options.mutable_queue_timeout()->set_seconds(3);
    options.mutable_split()->set_revision("7");
    options.mutable_split()->set_percent(5);
  });
  const auto cluster = DecodeCluster("web", AnyBytes(from));
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_EQ(cluster->lb_policy, LbPolicy::kMaglev);
  EXPECT_EQ(cluster->outlier.consecutive_failures, 3u);
  EXPECT_EQ(cluster->outlier.base_ejection, Millis{2'000});
  EXPECT_EQ(cluster->outlier.max_ejection, Millis{20'000});
  EXPECT_EQ(cluster->outlier.max_ejected_percent, 30u);
  EXPECT_EQ(cluster->outlier.success_rate_stdev, 0);
  EXPECT_EQ(cluster->panic_percent, 25u);
  EXPECT_EQ(cluster->slow_start, Millis{10'000});
  EXPECT_EQ(cluster->concurrency, (Concurrency{Concurrency::Kind::kAuto, 0}));
  EXPECT_EQ(cluster->queue, (QueueLimits{7, Millis{3'000}}));
  EXPECT_EQ(cluster->split, (TrafficSplit{"7", 5}));

  SetOwnOptions(from, [](auto& options) {
    options.set_policy(::pando::xds::v1::ClusterOptions::STICKY);
    options.set_fixed(2);
  });
  const auto sticky = DecodeCluster("web", AnyBytes(from));
  ASSERT_TRUE(sticky.ok()) << sticky.status();
  EXPECT_EQ(sticky->lb_policy, LbPolicy::kSticky);
  EXPECT_EQ(sticky->concurrency, (Concurrency{Concurrency::Kind::kFixed, 2}));
}

TEST(DecodeClusterTest, RefusesWhatItCannotHonour) {
  using Cluster = xds_cluster::Cluster;
  const Case<Cluster> cases[] = {
      {[](Cluster& c) { c.clear_name(); }, "name: not set"},
      {[](Cluster& c) { c.set_name("other"); }, "name: \"other\" is not the resource's name"},
      {[](Cluster& c) { c.set_type(Cluster::STRICT_DNS); },
       "type: STRICT_DNS is not supported (use EDS or STATIC)"},
      {[](Cluster& c) { c.set_type(static_cast<Cluster::DiscoveryType>(99)); },
       "type: 99 is not supported (use EDS or STATIC)"},
      {[](Cluster& c) { c.clear_type(); }, "load_assignment: not set"},
      {[](Cluster& c) { c.clear_eds_cluster_config(); },
       "eds_cluster_config.eds_config: not set (ads is needed)"},
      {[](Cluster& c) {
         c.mutable_eds_cluster_config()->mutable_eds_config()->mutable_api_config_source();
       },
       "eds_cluster_config.eds_config: only ads is supported, not api_config_source"},
      {[](Cluster& c) { c.set_lb_policy(Cluster::CLUSTER_PROVIDED); },
       "lb_policy: CLUSTER_PROVIDED is not supported (use LEAST_REQUEST, ROUND_ROBIN, RANDOM, "
       "RING_HASH or MAGLEV)"},
      {[](Cluster& c) { c.set_lb_policy(static_cast<Cluster::LbPolicy>(42)); },
       "lb_policy: 42 is not supported (use LEAST_REQUEST, ROUND_ROBIN, RANDOM, "
       "RING_HASH or MAGLEV)"},
      {[](Cluster& c) { c.mutable_load_balancing_policy(); },
       "load_balancing_policy.policies: none of [] is supported (use LEAST_REQUEST, ROUND_ROBIN, "
       "RANDOM, RING_HASH or MAGLEV)"},
      {[](Cluster& c) { c.mutable_connect_timeout()->set_seconds(-1); },
       "connect_timeout: -1 s 0 ns is negative"},
      {[](Cluster& c) { c.mutable_connect_timeout()->set_seconds(0); },
       "connect_timeout: 0 s is too short"},
      {[](Cluster& c) { c.mutable_connect_timeout()->set_seconds(int64_t{1} << 60); },
       "connect_timeout: 1152921504606846976 s 0 ns is not a duration"},
      {[](Cluster& c) { c.add_health_checks(); }, "health_checks: is set but not supported"},
      {[](Cluster& c) { c.mutable_circuit_breakers(); },
       "circuit_breakers: is set but not supported"},
      {[](Cluster& c) { c.mutable_outlier_detection()->mutable_consecutive_5xx()->set_value(5); },
       "outlier_detection.consecutive_5xx: is set but not supported"},
      {[](Cluster& c) {
         c.mutable_outlier_detection()->mutable_max_ejection_percent()->set_value(101);
       },
       "outlier_detection.max_ejection_percent: 101 is more than 100"},
      {[](Cluster& c) {
         c.mutable_outlier_detection()->mutable_enforcing_success_rate()->set_value(50);
       },
       "outlier_detection.enforcing_success_rate: 50 is not supported (use 0 or 100)"},
      {[](Cluster& c) { c.mutable_transport_socket(); },
       "transport_socket: is set but not supported"},
      {[](Cluster& c) {
         c.mutable_common_lb_config()
             ->mutable_consistent_hashing_lb_config()
             ->mutable_hash_balance_factor()
             ->set_value(99);
       },
       "common_lb_config.consistent_hashing_lb_config.hash_balance_factor: 99 is less than 100"},
      {[](Cluster& c) {
         c.mutable_least_request_lb_config()->mutable_slow_start_config()->mutable_aggression();
       },
       "least_request_lb_config.slow_start_config.aggression: is set but not supported"},
      {[](Cluster& c) { SetOwnOptions(c, [](auto& options) { options.set_fixed(0); }); },
       "metadata.typed_filter_metadata[pando.cluster].fixed: 0 is less than 1"},
      {[](Cluster& c) { (*c.mutable_typed_extension_protocol_options())["x"]; },
       "typed_extension_protocol_options[x]: is set but not supported"},
  };
  for (const auto& c : cases) {
    auto from = GoodCluster();
    c.spoil(from);
    const auto cluster = DecodeCluster("web", AnyBytes(from));
    EXPECT_EQ(Message(cluster.status()), absl::StrCat("cluster web: ", c.want));
  }
}

// ---- endpoints ----

TEST(DecodeEndpointsTest, ReadsAddressHealthWeightAndMetadata) {
  xds_endpoint::ClusterLoadAssignment from;
  from.set_cluster_name("web");
  AddEndpoint(from, "10.0.0.1", 20001, xds_core::HEALTHY, "web.1-aaaa");
  AddEndpoint(from, "10.0.0.1", 20002, xds_core::UNKNOWN);
  AddEndpoint(from, "10.0.0.1", 20003, xds_core::DRAINING);
  AddEndpoint(from, "10.0.0.1", 20004, xds_core::TIMEOUT);
  AddEndpoint(from, "10.0.0.1", 20005, xds_core::DEGRADED);
  AddEndpoint(from, "10.0.0.1", 20006, xds_core::UNHEALTHY);
  AddEndpoint(from, "fe80:0:0::1", 1).mutable_load_balancing_weight()->set_value(3);
  const auto endpoints = DecodeEndpoints("web", AnyBytes(from));
  ASSERT_TRUE(endpoints.ok()) << endpoints.status();
  std::vector<std::string> got;
  for (const Endpoint& e : *endpoints) {
    got.push_back(absl::StrCat(e.address, " ", e.port, " ", static_cast<int>(e.health), " ",
                               e.weight, " ", e.instance, " ", e.assignment));
  }
  EXPECT_THAT(got, ElementsAre("10.0.0.1 20001 0 1 web.1 web.1-aaaa", "10.0.0.1 20002 0 1  ",
                               "10.0.0.1 20003 1 1  ", "10.0.0.1 20004 2 1  ",
                               "10.0.0.1 20005 2 1  ", "fe80::1 1 0 3  "));
}

TEST(DecodeEndpointsTest, NoneIsAnAnswerToo) {
  xds_endpoint::ClusterLoadAssignment from;
  from.set_cluster_name("web");
  const auto endpoints = DecodeEndpoints("web", AnyBytes(from));
  ASSERT_TRUE(endpoints.ok()) << endpoints.status();
  EXPECT_THAT(*endpoints, IsEmpty());
}

TEST(DecodeEndpointsTest, RefusesWhatItCannotHonour) {
  using Assignment = xds_endpoint::ClusterLoadAssignment;
  const auto first = [](Assignment& a) -> xds_endpoint::LbEndpoint& {
    return *a.mutable_endpoints(0)->mutable_lb_endpoints(0);
  };
  const auto socket = [first](Assignment& a) -> xds_core::SocketAddress& {
    return *first(a).mutable_endpoint()->mutable_address()->mutable_socket_address();
  };
  const std::string at = "endpoints[0].lb_endpoints[0]";
  const Case<Assignment> cases[] = {
      {[](Assignment& a) { a.set_cluster_name("x"); },
       "cluster_name: \"x\" is not the resource's name"},
      {[](Assignment& a) { a.mutable_policy()->add_drop_overloads(); },
       "policy.drop_overloads: is set but not supported"},
      {[](Assignment& a) { a.mutable_policy()->mutable_endpoint_stale_after(); },
       "policy.endpoint_stale_after: is set but not supported"},
      {[](Assignment& a) { a.mutable_endpoints(0)->set_priority(1); },
       "endpoints[0].priority: 1 is not supported (only 0)"},
      {[first](Assignment& a) { first(a).clear_endpoint(); }, at + ".endpoint: not set"},
      {[first](Assignment& a) { first(a).mutable_endpoint()->clear_address(); },
       at + ".endpoint.address.socket_address: not set"},
      {[first](Assignment& a) {
         first(a).mutable_endpoint()->mutable_address()->mutable_pipe()->set_path("/s");
       },
       at + ".endpoint.address.pipe: \"/s\": only socket_address is supported"},
      {[socket](Assignment& a) { socket(a).set_protocol(xds_core::SocketAddress::UDP); },
       at + ".endpoint.address.socket_address.protocol: only TCP is supported"},
      {[socket](Assignment& a) { socket(a).set_address("localhost"); },
       at + ".endpoint.address.socket_address.address: \"localhost\" is not an IPv4 or IPv6 "
            "address"},
      {[socket](Assignment& a) { socket(a).set_address(std::string("1.2.3.4\0x", 9)); },
       at + ".endpoint.address.socket_address.address: \"" + std::string("1.2.3.4\0x", 9) +
           "\" is not an IPv4 or IPv6 address"},
      {[socket](Assignment& a) { socket(a).set_port_value(0); },
       at + ".endpoint.address.socket_address.port_value: 0 is not in 1-65535"},
      {[socket](Assignment& a) { socket(a).set_port_value(65536); },
       at + ".endpoint.address.socket_address.port_value: 65536 is not in 1-65535"},
      {[](Assignment& a) { AddEndpoint(a, "127.0.0.1", 20001); },
       "endpoints[0].lb_endpoints[1].endpoint.address: 127.0.0.1 port 20001 is there twice"},
      {[first](Assignment& a) { first(a).mutable_load_balancing_weight(); },
       at + ".load_balancing_weight: 0 is less than 1"},
      {[first](Assignment& a) {
         first(a).set_health_status(static_cast<xds_core::HealthStatus>(9));
       },
       at + ".health_status: 9 is not known"},
      {[first](Assignment& a) {
         (*(*first(a).mutable_metadata()->mutable_filter_metadata())["pando"]
               .mutable_fields())["instance"]
             .set_number_value(1);
       },
       at + ".metadata.filter_metadata[pando].instance: is not a string"},
  };
  for (const auto& c : cases) {
    auto from = GoodEndpoints();
    c.spoil(from);
    const auto endpoints = DecodeEndpoints("web", AnyBytes(from));
    EXPECT_EQ(Message(endpoints.status()), absl::StrCat("endpoints web: ", c.want));
  }
}

// ---- listeners ----

TEST(DecodeListenerTest, ReadsAddressAndRoutes) {
  const auto listener = DecodeListener("default", AnyBytes(GoodListener()));
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_EQ(*listener, (Listener{"default", "127.0.0.1", 8080, "default"}));
}

TEST(DecodeListenerTest, ReadsWhatIsSaidOfRequests) {
  hcm::HttpConnectionManager manager = GoodManager();
  const hcm::HttpFilter router = manager.http_filters(0);
  manager.mutable_request_headers_timeout()->set_seconds(5);
  manager.mutable_stream_idle_timeout()->set_seconds(60);
  manager.mutable_common_http_protocol_options()->mutable_idle_timeout()->set_nanos(500'000'000);
  manager.mutable_common_http_protocol_options()->mutable_max_headers_count()->set_value(100);
  manager.mutable_max_request_headers_kb()->set_value(32);
  XffConfig xff;
  auto& cidr = *xff.mutable_xff_trusted_cidrs()->add_cidrs();
  cidr.set_address_prefix("10.0.0.0");
  cidr.mutable_prefix_len()->set_value(8);
  *manager.add_original_ip_detection_extensions()->mutable_typed_config() = Pack(xff);
  pando::xds::v1::HttpOptions options;
  options.mutable_max_request_line_bytes()->set_value(4'096);
  options.set_append_untrusted_forwarded(true);
  options.set_rfc7239(true);
  options.set_pass_traces_only(true);
  *manager.mutable_http_filters(0)->mutable_typed_config() = Pack(options);
  *manager.add_http_filters() = router;
  xds_listener::Listener from = GoodListener("default", 80, manager);
  *from.add_listener_filters()->mutable_typed_config() = Pack(ProxyProtocol());

  const auto listener = DecodeListener("default", AnyBytes(from));
  ASSERT_TRUE(listener.ok()) << listener.status();
  HttpOptions want;
  want.head_timeout = Millis{5'000};
  want.stream_idle_timeout = Millis{60'000};
  want.client_idle_timeout = Millis{500};
  want.max_fields = 100;
  want.max_head_bytes = 32'768;
  want.max_request_line_bytes = 4'096;
  want.proxy_protocol = true;
  want.forward.mode = ForwardPolicy::Mode::kAppend;
  want.forward.rfc7239 = true;
  want.forward.start_traces = false;
  want.forward.trusted = {*IpRange::Parse("10.0.0.0/8")};
  EXPECT_EQ(listener->http, want);
}

TEST(DecodeListenerTest, OptionalFiltersAreSkipped) {
  hcm::HttpConnectionManager manager = GoodManager();
  const hcm::HttpFilter router = manager.http_filters(0);
  manager.clear_http_filters();
  hcm::HttpFilter& optional = *manager.add_http_filters();
  optional.mutable_typed_config()->set_type_url("type.googleapis.com/x.Y");
  optional.set_is_optional(true);
  *manager.add_http_filters() = router;
  const auto listener = DecodeListener("default", AnyBytes(GoodListener("default", 80, manager)));
  EXPECT_TRUE(listener.ok()) << listener.status();
}

TEST(DecodeListenerTest, RefusesWhatItCannotHonour) {
  using Listener = xds_listener::Listener;
  const Case<Listener> cases[] = {
      {[](Listener& l) { l.clear_name(); }, "name: not set"},
      {[](Listener& l) { l.set_name("x"); }, "name: \"x\" is not the resource's name"},
      {[](Listener& l) { l.clear_address(); }, "address.socket_address: not set"},
      {[](Listener& l) { l.mutable_address()->mutable_socket_address()->set_port_value(70000); },
       "address.socket_address.port_value: 70000 is not in 1-65535"},
      {[](Listener& l) { l.mutable_api_listener(); }, "api_listener: is set but not supported"},
      {[](Listener& l) { l.add_listener_filters()->mutable_typed_config()->set_type_url("x"); },
       "listener_filters[0].typed_config: type_url is \"x\", not "
       "\"type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol\""},
      {[](Listener& l) {
         ProxyProtocol lax;
         lax.set_allow_requests_without_proxy_protocol(true);
         *l.add_listener_filters()->mutable_typed_config() = Pack(lax);
       },
       "listener_filters[0].typed_config.allow_requests_without_proxy_protocol: is set but not "
       "supported"},
      {[](Listener& l) { l.mutable_default_filter_chain(); },
       "default_filter_chain: is set but not supported"},
      {[](Listener& l) { l.clear_filter_chains(); }, "filter_chains: there are 0, not 1"},
      {[](Listener& l) { l.add_filter_chains(); }, "filter_chains: there are 2, not 1"},
      {[](Listener& l) {
         l.mutable_filter_chains(0)->mutable_filter_chain_match()->add_server_names("a");
       },
       "filter_chains[0].filter_chain_match: is set but not supported"},
      {[](Listener& l) { l.mutable_filter_chains(0)->mutable_transport_socket(); },
       "filter_chains[0].transport_socket.typed_config: not set"},
      {[](Listener& l) { l.mutable_filter_chains(0)->clear_filters(); },
       "filter_chains[0].filters: there are 0, not one HttpConnectionManager"},
      {[](Listener& l) {
         l.mutable_filter_chains(0)->mutable_filters(0)->mutable_typed_config()->set_type_url("x");
       },
       "filter_chains[0].filters[0].typed_config: type_url is \"x\", not "
       "\"type.googleapis.com/"
       "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager\""},
  };
  for (const auto& c : cases) {
    auto from = GoodListener();
    c.spoil(from);
    EXPECT_EQ(Message(DecodeListener("default", AnyBytes(from)).status()),
              absl::StrCat("listener default: ", c.want));
  }
}

xds_listener::Listener SecureListener(const xds_tls::DownstreamTlsContext& context) {
  auto listener = GoodListener();
  *listener.mutable_filter_chains(0)->mutable_transport_socket()->mutable_typed_config() =
      Pack(context);
  return listener;
}

TEST(DecodeListenerTest, ReadsTls) {
  auto context = GoodTls();
  auto& common = *context.mutable_common_tls_context();
  auto& second = *common.add_tls_certificates();
  second.mutable_certificate_chain()->set_filename("/b.pem");
  second.mutable_private_key()->set_filename("/b.key");
  common.add_alpn_protocols("http/1.1");
  auto& parameters = *common.mutable_tls_params();
  parameters.set_tls_minimum_protocol_version(xds_tls::TlsParameters::TLSv1_3);
  parameters.add_cipher_suites("ECDHE-ECDSA-AES128-GCM-SHA256");
  parameters.add_cipher_suites("ECDHE-RSA-AES128-GCM-SHA256");
  const auto listener = DecodeListener("default", AnyBytes(SecureListener(context)));
  ASSERT_TRUE(listener.ok()) << listener.status();
  TlsSettings want;
  want.certificates = {{"/a.pem", "/a.key"}, {"/b.pem", "/b.key"}};
  want.min_version = TlsVersion::k13;
  want.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256";
  want.alpn = {"http/1.1"};
  EXPECT_EQ(listener->tls, want);
}

TEST(DecodeListenerTest, RefusesWhatItCannotHonourOfTls) {
  using Context = xds_tls::DownstreamTlsContext;
  using Parameters = xds_tls::TlsParameters;
  const auto common = [](Context& c) -> xds_tls::CommonTlsContext& {
    return *c.mutable_common_tls_context();
  };
  const Case<Context> cases[] = {
      {[](Context& c) { c.mutable_require_client_certificate()->set_value(true); },
       "require_client_certificate: is set but not supported"},
      {[](Context& c) { c.clear_common_tls_context(); },
       "common_tls_context.tls_certificates: not set"},
      {[common](Context& c) { common(c).mutable_validation_context(); },
       "common_tls_context.validation_context: is set but not supported"},
      {[common](Context& c) { common(c).add_tls_certificate_sds_secret_configs(); },
       "common_tls_context.tls_certificate_sds_secret_configs: is set but not supported"},
      {[common](Context& c) { common(c).add_alpn_protocols("h2"); },
       "common_tls_context.alpn_protocols[0]: \"h2\" is not supported (use http/1.1)"},
      {[common](Context& c) {
         common(c).mutable_tls_params()->set_tls_minimum_protocol_version(Parameters::TLSv1_1);
       },
       "common_tls_context.tls_params.tls_minimum_protocol_version: TLSv1_1 is not supported (use "
       "TLSv1_2 or TLSv1_3)"},
      {[common](Context& c) {
         common(c).mutable_tls_params()->set_tls_minimum_protocol_version(Parameters::TLSv1_3);
         common(c).mutable_tls_params()->set_tls_maximum_protocol_version(Parameters::TLSv1_2);
       },
       "common_tls_context.tls_params.tls_maximum_protocol_version: is below the minimum"},
      {[common](Context& c) { common(c).mutable_tls_certificates(0)->clear_certificate_chain(); },
       "common_tls_context.tls_certificates[0].certificate_chain: not set"},
      // Not even a word of the key itself.
      {[common](Context& c) {
         common(c).mutable_tls_certificates(0)->mutable_private_key()->set_inline_string("secret");
       },
       "common_tls_context.tls_certificates[0].private_key: only filename is supported"},
      {[common](Context& c) {
         common(c).mutable_tls_certificates(0)->mutable_private_key()->set_filename("a.key");
       },
       "common_tls_context.tls_certificates[0].private_key.filename: \"a.key\" is not an absolute "
       "path"},
  };
  for (const auto& c : cases) {
    auto context = GoodTls();
    c.spoil(context);
    EXPECT_EQ(
        Message(DecodeListener("default", AnyBytes(SecureListener(context))).status()),
        absl::StrCat("listener default: filter_chains[0].transport_socket.typed_config.", c.want));
  }
}

TEST(DecodeListenerTest, RefusesWhatItCannotHonourOfTheConnectionManager) {
  using Manager = hcm::HttpConnectionManager;
  const Case<Manager> cases[] = {
      {[](Manager& m) { m.set_codec_type(Manager::HTTP2); },
       "codec_type: HTTP2 is not supported (use AUTO or HTTP1)"},
      {[](Manager& m) { m.mutable_request_timeout(); },
       "request_timeout: is set but not supported"},
      {[](Manager& m) { m.mutable_stream_idle_timeout(); },
       "stream_idle_timeout: 0 s is not supported"},
      {[](Manager& m) { m.mutable_max_request_headers_kb()->set_value(9'000); },
       "max_request_headers_kb: 9000 is more than 8192"},
      {[](Manager& m) {
         m.mutable_common_http_protocol_options()->mutable_max_headers_count()->set_value(0);
       },
       "common_http_protocol_options.max_headers_count: 0 is less than 1"},
      {[](Manager& m) { m.mutable_common_http_protocol_options()->mutable_max_stream_duration(); },
       "common_http_protocol_options.max_stream_duration: is set but not supported"},
      {[](Manager& m) { m.set_xff_num_trusted_hops(1); },
       "xff_num_trusted_hops: is set but not supported"},
      {[](Manager& m) {
         XffConfig xff;
         auto& cidr = *xff.mutable_xff_trusted_cidrs()->add_cidrs();
         cidr.set_address_prefix("10.0.0.1");
         cidr.mutable_prefix_len()->set_value(8);
         *m.add_original_ip_detection_extensions()->mutable_typed_config() = Pack(xff);
       },
       "original_ip_detection_extensions[0].typed_config.xff_trusted_cidrs.cidrs[0]: "
       "\"10.0.0.1/8\" is not a range of addresses"},
      {[](Manager& m) {
         pando::xds::v1::HttpOptions options;
         options.mutable_max_request_line_bytes()->set_value(5);
         *m.mutable_http_filters(0)->mutable_typed_config() = Pack(options);
       },
       "http_filters[0].typed_config.max_request_line_bytes: 5 is less than 32"},
      {[](Manager& m) { m.mutable_route_config(); },
       "route_config: inline routes are not supported (use rds)"},
      {[](Manager& m) { m.clear_rds(); }, "rds: not set"},
      {[](Manager& m) { m.mutable_rds()->clear_config_source(); },
       "rds.config_source: not set (ads is needed)"},
      {[](Manager& m) { m.mutable_rds()->clear_route_config_name(); },
       "rds.route_config_name: not set"},
      {[](Manager& m) { m.clear_http_filters(); }, "http_filters: the router filter is missing"},
      {[](Manager& m) { m.mutable_http_filters(0)->clear_typed_config(); },
       "http_filters[0].typed_config: not set"},
      {[](Manager& m) { m.add_http_filters(); },
       "http_filters[1]: is after the router, which is the last"},
      {[](Manager& m) {
         m.mutable_http_filters(0)->set_name("lua");
         m.mutable_http_filters(0)->mutable_typed_config()->set_type_url("t/lua");
       },
       "http_filters[0]: filter \"lua\" (t/lua) is not supported"},
  };
  for (const auto& c : cases) {
    auto manager = GoodManager();
    c.spoil(manager);
    EXPECT_EQ(
        Message(DecodeListener("default", AnyBytes(GoodListener("default", 80, manager))).status()),
        absl::StrCat("listener default: filter_chains[0].filters[0].", c.want));
  }
}

// ---- routes ----

TEST(DecodeRoutesTest, ReadsHostsPrefixesAndTimeouts) {
  auto from = GoodRoutes();
  xds_route::VirtualHost& host = *from.add_virtual_hosts();
  host.add_domains("WWW.Example.com");
  host.add_domains("*.example.com");
  xds_route::Route& api = *host.add_routes();
  api.mutable_match()->set_path_separated_prefix("/api");
  api.mutable_route()->set_cluster("api");
  api.mutable_route()->mutable_timeout()->set_nanos(1);
  api.mutable_route()->mutable_retry_policy()->mutable_per_try_timeout()->set_nanos(500'000'000);
  pando::xds::v1::RouteOptions options;
  options.mutable_first_byte_timeout()->set_seconds(2);
  options.set_max_body_bytes(1'000);
  (*api.mutable_metadata()->mutable_typed_filter_metadata())["pando.route"] = Pack(options);
  xds_route::Route& plain = *host.add_routes();
  plain.mutable_match()->set_prefix("/st");
  plain.mutable_route()->set_cluster("static");
  const auto routes = DecodeRoutes("default", AnyBytes(from));
  ASSERT_TRUE(routes.ok()) << routes.status();
  ASSERT_THAT(routes->virtual_hosts, SizeIs(2));
  EXPECT_EQ(routes->virtual_hosts[0].routes[0].prefix, "/");
  EXPECT_TRUE(routes->virtual_hosts[0].routes[0].segments);
  EXPECT_EQ(routes->virtual_hosts[0].routes[0].limits.total_timeout, Millis{0});
  const VirtualHost& second = routes->virtual_hosts[1];
  EXPECT_THAT(second.domains, ElementsAre("www.example.com", "*.example.com"));
  EXPECT_EQ(second.routes[0].prefix, "/api");
  EXPECT_TRUE(second.routes[0].segments);
  EXPECT_EQ(second.routes[0].limits.total_timeout, Millis{1});  // rounded up, not to "no limit"
  EXPECT_EQ(second.routes[0].limits.first_byte_timeout, Millis{2'000});
  EXPECT_EQ(second.routes[0].limits.per_try_timeout, Millis{500});
  EXPECT_EQ(second.routes[0].limits.max_body_bytes, 1'000u);
  EXPECT_EQ(second.routes[1].limits, RouteLimits());
  EXPECT_EQ(second.routes[1].prefix, "/st");
  EXPECT_FALSE(second.routes[1].segments);
  EXPECT_EQ(second.routes[1].cluster, "static");
}

TEST(DecodeRoutesTest, ReadsRedirectsToHttps) {
  auto from = GoodRoutes();
  auto& redirect = *from.mutable_virtual_hosts(0)->mutable_routes(0)->mutable_redirect();
  redirect.set_https_redirect(true);
  redirect.set_port_redirect(8443);
  redirect.set_response_code(xds_route::RedirectAction::PERMANENT_REDIRECT);
  auto routes = DecodeRoutes("default", AnyBytes(from));
  ASSERT_TRUE(routes.ok()) << routes.status();
  const Route& route = routes->virtual_hosts[0].routes[0];
  ASSERT_TRUE(route.redirect.has_value());
  EXPECT_EQ(route.redirect->status, 308);
  EXPECT_EQ(route.redirect->port, 8443);
  redirect.clear_response_code();
  routes = DecodeRoutes("default", AnyBytes(from));
  EXPECT_EQ(routes->virtual_hosts[0].routes[0].redirect->status, 301);
  redirect.set_https_redirect(false);
  EXPECT_EQ(Message(DecodeRoutes("default", AnyBytes(from)).status()),
            "route default: virtual_hosts[0].routes[0].redirect.https_redirect: is not true");
  redirect.set_host_redirect("elsewhere.test");
  EXPECT_EQ(Message(DecodeRoutes("default", AnyBytes(from)).status()),
            "route default: virtual_hosts[0].routes[0].redirect.host_redirect: is set but not "
            "supported");
}

TEST(DecodeRoutesTest, RefusesWhatItCannotHonour) {
  using Config = xds_route::RouteConfiguration;
  const auto host = [](Config& c) -> xds_route::VirtualHost& {
    return *c.mutable_virtual_hosts(0);
  };
  const auto route = [](Config& c) -> xds_route::Route& {
    return *c.mutable_virtual_hosts(0)->mutable_routes(0);
  };
  const std::string at = "virtual_hosts[0].routes[0]";
  const Case<Config> cases[] = {
      {[](Config& c) { c.set_name("x"); }, "name: \"x\" is not the resource's name"},
      {[host](Config& c) { host(c).clear_domains(); }, "virtual_hosts[0].domains: not set"},
      {[host](Config& c) { host(c).set_domains(0, "www.*"); },
       "virtual_hosts[0].domains[0]: \"www.*\" is not a domain (use *, *.example.com or "
       "www.example.com)"},
      {[host](Config& c) { host(c).add_domains("*"); },
       "virtual_hosts[0].domains[1]: \"*\" is there twice"},
      {[host](Config& c) { host(c).mutable_retry_policy(); },
       "virtual_hosts[0].retry_policy: is set but not supported"},
      {[route](Config& c) { route(c).clear_match(); }, at + ".match: not set"},
      {[route](Config& c) { route(c).mutable_match()->clear_prefix(); },
       at + ".match.prefix: not set"},
      {[route](Config& c) { route(c).mutable_match()->set_prefix(""); },
       at + ".match.prefix: \"\" does not start with /"},
      {[route](Config& c) { route(c).mutable_match()->set_path_separated_prefix("/a/"); },
       at + ".match.path_separated_prefix: \"/a/\" ends with /"},
      {[route](Config& c) { route(c).mutable_match()->set_path("/a"); },
       at + ".match.path: is set but not supported"},
      {[route](Config& c) { route(c).mutable_match()->mutable_safe_regex(); },
       at + ".match.safe_regex: is set but not supported"},
      {[route](Config& c) { route(c).mutable_match()->add_headers(); },
       at + ".match.headers: is set but not supported"},
      {[route](Config& c) { route(c).mutable_match()->mutable_runtime_fraction(); },
       at + ".match.runtime_fraction: is set but not supported"},
      {[route](Config& c) { route(c).mutable_match()->mutable_case_sensitive(); },
       at + ".match.case_sensitive: false is not supported"},
      {[route](Config& c) { route(c).clear_route(); }, at + ".route: not set"},
      {[route](Config& c) { route(c).mutable_direct_response(); },
       at + ".direct_response: is set but not supported"},
      {[route](Config& c) { route(c).mutable_route()->clear_cluster(); },
       at + ".route.cluster: not set"},
      {[route](Config& c) { route(c).mutable_route()->set_cluster_header("x"); },
       at + ".route.cluster_header: is set but not supported"},
      {[route](Config& c) { route(c).mutable_route()->mutable_weighted_clusters(); },
       at + ".route.weighted_clusters: is set but not supported"},
      {[route](Config& c) { route(c).mutable_route()->set_prefix_rewrite("/"); },
       at + ".route.prefix_rewrite: is set but not supported"},
      {[route](Config& c) {
         route(c).mutable_route()->add_hash_policy()->mutable_query_parameter();
       },
       at + ".route.hash_policy[0]: is not supported (use header, cookie or "
            "connection_properties)"},
      {[route](Config& c) { route(c).mutable_route()->add_hash_policy()->mutable_cookie(); },
       at + ".route.hash_policy[0].cookie.name: not set"},
      {[route](Config& c) {
         route(c).mutable_route()->mutable_retry_policy()->set_retry_on("5xx");
       },
       at + ".route.retry_policy.retry_on: is set but not supported"},
      {[route](Config& c) {
         route(c).mutable_route()->mutable_retry_policy()->mutable_num_retries()->set_value(1);
       },
       at + ".route.retry_policy.num_retries: is set but not supported"},
      {[route](Config& c) { route(c).mutable_route()->mutable_timeout()->set_nanos(-5); },
       at + ".route.timeout: 0 s -5 ns is negative"},
      {[route](Config& c) {
         auto& metadata = *route(c).mutable_metadata()->mutable_typed_filter_metadata();
         metadata["pando.route"].set_type_url("x");
       },
       at + ".metadata.typed_filter_metadata[pando.route]: type_url is \"x\", not "
            "\"type.googleapis.com/pando.xds.v1.RouteOptions\""},
  };
  for (const auto& c : cases) {
    auto from = GoodRoutes();
    c.spoil(from);
    EXPECT_EQ(Message(DecodeRoutes("default", AnyBytes(from)).status()),
              absl::StrCat("route default: ", c.want));
  }
}

}  // namespace
}  // namespace pando::proxy
