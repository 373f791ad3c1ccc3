// What makes requests belong together, taken from a request. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/core/h1_parser.h"
#include "proxy/core/upstream_table.h"

namespace pando::proxy {

// The value of a cookie among the request's Cookie fields; empty when there is none.
std::string_view CookieValue(const RequestHead& head, std::string_view name);

// A hash of the key `source` names; nullopt for a request that has none. With `sticky` the cookie
// is the text StickyId made, and what it stands for is returned.
std::optional<uint64_t> RequestKey(const HashSource& source, bool sticky, const RequestHead& head,
                                   std::string_view client_address);

// An endpoint's id as it is given to clients: 16 hexadecimal digits.
std::string StickyId(const Endpoint& endpoint);

}  // namespace pando::proxy
