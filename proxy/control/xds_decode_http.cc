#include "proxy/control/xds_decode_http.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/ip_range.h"
#include "common/base/status_macros.h"
#include "envoy/extensions/filters/http/router/v3/router.pb.h"
#include "envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol.pb.h"
#include "envoy/extensions/http/original_ip_detection/xff/v3/xff.pb.h"
#include "pando/xds/v1/http.pb.h"
#include "proxy/control/xds_field.h"

namespace pando::proxy {
namespace {

namespace core = ::envoy::config::core::v3;
namespace listener = ::envoy::config::listener::v3;
using Manager =
    ::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using ::envoy::extensions::filters::http::router::v3::Router;
using ::envoy::extensions::filters::listener::proxy_protocol::v3::ProxyProtocol;
using ::envoy::extensions::http::original_ip_detection::xff::v3::XffConfig;
using ::pando::xds::v1::HttpOptions;

// A line that is shorter could not ask for anything.
constexpr uint32_t kShortestLine = 32;

template <class Message>
std::string UrlOf() {
  return absl::StrCat("type.googleapis.com/", Message::descriptor()->full_name());
}

// Of a limit in time, which zero would not be: here it would mean at once, elsewhere never.
absl::StatusOr<Millis> ToLimit(const std::string& field, const google::protobuf::Duration& from) {
  PANDO_ASSIGN_OR_RETURN(const Millis limit, ToMillis(field, from));
  if (limit == Millis{0}) return Refuse(field, "0 s is not supported");
  return limit;
}

absl::StatusOr<size_t> ToLimit(const std::string& field, uint32_t from, uint32_t min) {
  if (from < min) return Refuse(field, absl::StrCat(from, " is less than ", min));
  return from;
}

void TakeHttpOptions(const HttpOptions& from, pando::proxy::HttpOptions& result) {
  if (from.append_untrusted_forwarded()) result.forward.mode = ForwardPolicy::Mode::kAppend;
  result.forward.rfc7239 = from.rfc7239();
  result.forward.start_traces = !from.pass_traces_only();
}

absl::Status ReadHttpOptions(const std::string& field, const google::protobuf::Any& from,
                             pando::proxy::HttpOptions& result) {
  HttpOptions options;
  PANDO_RETURN_IF_ERROR(Unpack(field, from, options));
  TakeHttpOptions(options, result);
  if (!options.has_max_request_line_bytes()) return absl::OkStatus();
  PANDO_ASSIGN_OR_RETURN(result.max_request_line_bytes,
                         ToLimit(Sub(field, "max_request_line_bytes"),
                                 options.max_request_line_bytes().value(), kShortestLine));
  return absl::OkStatus();
}

absl::Status ReadHttpFilters(const std::string& field, const Manager& from,
                             pando::proxy::HttpOptions& result) {
  const std::string filters = Sub(field, "http_filters");
  bool has_router = false;
  for (int i = 0; i < from.http_filters_size(); ++i) {
    const auto& filter = from.http_filters(i);
    const std::string config = Sub(Indexed(filters, i), "typed_config");
    if (has_router) return Refuse(Indexed(filters, i), "is after the router, which is the last");
    if (filter.typed_config().type_url() == UrlOf<Router>()) {
      Router router;
      PANDO_RETURN_IF_ERROR(Unpack(config, filter.typed_config(), router));
      has_router = true;
    } else if (filter.typed_config().type_url() == UrlOf<HttpOptions>()) {
      PANDO_RETURN_IF_ERROR(ReadHttpOptions(config, filter.typed_config(), result));
    } else if (!filter.has_typed_config()) {
      return NotSet(config);
    } else if (!filter.is_optional()) {
      return Refuse(Indexed(filters, i),
                    absl::StrCat("filter \"", filter.name(), "\" (",
                                 filter.typed_config().type_url(), ") is not supported"));
    }
  }
  if (!has_router) return Refuse(filters, "the router filter is missing");
  return absl::OkStatus();
}

absl::Status ReadXff(const std::string& field, const google::protobuf::Any& from,
                     ForwardPolicy& result) {
  XffConfig xff;
  PANDO_RETURN_IF_ERROR(Unpack(field, from, xff));
  if (xff.xff_num_trusted_hops() != 0) return Unsupported(Sub(field, "xff_num_trusted_hops"));
  const std::string cidrs = Sub(field, "xff_trusted_cidrs.cidrs");
  for (int i = 0; i < xff.xff_trusted_cidrs().cidrs_size(); ++i) {
    const core::CidrRange& cidr = xff.xff_trusted_cidrs().cidrs(i);
    const auto length = static_cast<int>(std::min(cidr.prefix_len().value(), 255u));
    std::optional<IpRange> range = IpRange::Make(cidr.address_prefix(), length);
    if (!range) {
      return Refuse(Indexed(cidrs, i),
                    absl::StrCat("\"", cidr.address_prefix(), "/", cidr.prefix_len().value(),
                                 "\" is not a range of addresses"));
    }
    result.trusted.push_back(*range);
  }
  return absl::OkStatus();
}

absl::Status ReadTrust(const std::string& field, const Manager& from, ForwardPolicy& result) {
  if (from.xff_num_trusted_hops() != 0) return Unsupported(Sub(field, "xff_num_trusted_hops"));
  if (from.skip_xff_append()) return Unsupported(Sub(field, "skip_xff_append"));
  for (int i = 0; i < from.original_ip_detection_extensions_size(); ++i) {
    const core::TypedExtensionConfig& extension = from.original_ip_detection_extensions(i);
    const std::string config =
        Sub(Indexed(Sub(field, "original_ip_detection_extensions"), i), "typed_config");
    PANDO_RETURN_IF_ERROR(ReadXff(config, extension.typed_config(), result));
  }
  return absl::OkStatus();
}

absl::Status ReadLimits(const std::string& field, const Manager& from,
                        pando::proxy::HttpOptions& result) {
  if (from.has_request_headers_timeout()) {
    PANDO_ASSIGN_OR_RETURN(result.head_timeout, ToLimit(Sub(field, "request_headers_timeout"),
                                                        from.request_headers_timeout()));
  }
  if (from.has_stream_idle_timeout()) {
    PANDO_ASSIGN_OR_RETURN(result.stream_idle_timeout,
                           ToLimit(Sub(field, "stream_idle_timeout"), from.stream_idle_timeout()));
  }
  if (from.has_max_request_headers_kb()) {
    constexpr uint32_t kMost = 8'192;  // that of the API
    const std::string kb = Sub(field, "max_request_headers_kb");
    const uint32_t value = from.max_request_headers_kb().value();
    if (value > kMost) return Refuse(kb, absl::StrCat(value, " is more than ", kMost));
    PANDO_ASSIGN_OR_RETURN(const size_t limit, ToLimit(kb, value, 1));
    result.max_head_bytes = limit * 1'024;
  }
  const core::HttpProtocolOptions& common = from.common_http_protocol_options();
  const std::string options = Sub(field, "common_http_protocol_options");
  if (common.has_max_stream_duration()) return Unsupported(Sub(options, "max_stream_duration"));
  if (common.has_idle_timeout()) {
    PANDO_ASSIGN_OR_RETURN(result.client_idle_timeout,
                           ToLimit(Sub(options, "idle_timeout"), common.idle_timeout()));
  }
  if (common.has_max_headers_count()) {
    PANDO_ASSIGN_OR_RETURN(result.max_fields, ToLimit(Sub(options, "max_headers_count"),
                                                      common.max_headers_count().value(), 1));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadManager(const std::string& field, const Manager& from, Listener& result) {
  if (from.codec_type() != Manager::AUTO && from.codec_type() != Manager::HTTP1) {
    return Refuse(Sub(field, "codec_type"), absl::StrCat(Manager::CodecType_Name(from.codec_type()),
                                                         " is not supported (use AUTO or HTTP1)"));
  }
  const std::pair<const char*, bool> fields[] = {{"drain_timeout", from.has_drain_timeout()},
                                                 {"request_timeout", from.has_request_timeout()}};
  for (const auto& [name, is_set] : fields) {
    if (is_set) return Unsupported(Sub(field, name));
  }
  if (from.has_route_config()) {
    return Refuse(Sub(field, "route_config"), "inline routes are not supported (use rds)");
  }
  if (!from.has_rds()) return NotSet(Sub(field, "rds"));
  PANDO_RETURN_IF_ERROR(CheckFromAds(Sub(field, "rds.config_source"), from.rds().config_source()));
  if (from.rds().route_config_name().empty()) return NotSet(Sub(field, "rds.route_config_name"));
  PANDO_RETURN_IF_ERROR(ReadLimits(field, from, result.http));
  PANDO_RETURN_IF_ERROR(ReadTrust(field, from, result.http.forward));
  PANDO_RETURN_IF_ERROR(ReadHttpFilters(field, from, result.http));
  result.route_table = from.rds().route_config_name();
  return absl::OkStatus();
}

absl::Status ReadListenerFilters(const listener::Listener& from,
                                 pando::proxy::HttpOptions& result) {
  for (int i = 0; i < from.listener_filters_size(); ++i) {
    const std::string config = Sub(Indexed("listener_filters", i), "typed_config");
    ProxyProtocol proxy_protocol;
    PANDO_RETURN_IF_ERROR(Unpack(config, from.listener_filters(i).typed_config(), proxy_protocol));
    if (proxy_protocol.allow_requests_without_proxy_protocol()) {
      return Unsupported(Sub(config, "allow_requests_without_proxy_protocol"));
    }
    result.proxy_protocol = true;
  }
  return absl::OkStatus();
}

}  // namespace pando::proxy
