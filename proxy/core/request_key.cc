#include "proxy/core/request_key.h"

#include <charconv>

#include "absl/strings/str_format.h"
#include "proxy/core/stable_hash.h"

namespace pando::proxy {
namespace {

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Of "a=1; b=2".
std::string_view InCookies(std::string_view cookies, std::string_view name) {
  while (!cookies.empty()) {
    const size_t end = cookies.find(';');
    const std::string_view pair = Trimmed(cookies.substr(0, end));
    const size_t equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == name) {
      return pair.substr(equals + 1);
    }
    if (end == std::string_view::npos) break;
    cookies.remove_prefix(end + 1);
  }
  return {};
}

}  // namespace

std::string_view CookieValue(const RequestHead& head, std::string_view name) {
  for (const HeaderField& field : head.fields) {
    if (!EqualsIgnoreCase(field.name, "cookie")) continue;
    const std::string_view value = InCookies(field.value, name);
    if (!value.empty()) return value;
  }
  return {};
}

std::optional<uint64_t> RequestKey(const HashSource& source, bool sticky, const RequestHead& head,
                                   std::string_view client_address) {
  switch (source.kind) {
    case HashSource::Kind::kNone:
      return std::nullopt;
    case HashSource::Kind::kSourceAddress:
      return StableHash(client_address);
    case HashSource::Kind::kHeader:
      for (const HeaderField& field : head.fields) {
        if (EqualsIgnoreCase(field.name, source.name)) return StableHash(field.value);
      }
      return std::nullopt;
    case HashSource::Kind::kCookie:
      break;
  }
  const std::string_view value = CookieValue(head, source.name);
  if (value.empty()) return std::nullopt;
  if (!sticky) return StableHash(value);
  uint64_t id = 0;
  const char* const end = value.data() + value.size();
  const auto [stopped, error] = std::from_chars(value.data(), end, id, 16);
  if (error != std::errc() || stopped != end) return std::nullopt;  // somebody else's
  return id;
}

std::string StickyId(const Endpoint& endpoint) {
  return absl::StrFormat("%016x", EndpointHash(endpoint));
}

}  // namespace pando::proxy
