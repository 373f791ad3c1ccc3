// The TLS of a listener's filter chain. Certificates come from files of the proxy's host: what is
// inline would be shown and kept with the table, private keys included.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "envoy/config/core/v3/core.pb.h"
#include "proxy/core/tls_settings.h"

namespace pando::proxy {

// Where a listener's `common_tls_context` is, for errors found when its files are read.
inline constexpr char kCommonTlsContextField[] =
    "filter_chains[0].transport_socket.typed_config.common_tls_context";

// `field` is that of `from`. Only DownstreamTlsContext is supported.
absl::StatusOr<TlsSettings> ToTlsSettings(const std::string& field,
                                          const envoy::config::core::v3::TransportSocket& from);

}  // namespace pando::proxy
