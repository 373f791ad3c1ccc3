// What a listener says of its connections and requests: the HTTP connection manager with its
// filters, and the filters before it. Used by DecodeListener alone.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "proxy/core/upstream_table.h"

namespace pando::proxy {

// Sets the name of the routes and everything of `result.http` but what listener filters say.
// `field` is where the manager is: errors name what is below it.
absl::Status ReadManager(
    const std::string& field,
    const envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager&
        from,
    Listener& result);

absl::Status ReadListenerFilters(const envoy::config::listener::v3::Listener& from,
                                 HttpOptions& result);

}  // namespace pando::proxy
