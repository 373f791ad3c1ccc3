#include "proxy/core/forwarded.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <initializer_list>

namespace pando::proxy {
namespace {

constexpr size_t kMaxRequestId = 128;

void Append(std::string& out, std::initializer_list<std::string_view> parts) {
  for (std::string_view part : parts) out.append(part);
}

// "00" to "ff", one behind the other.
constexpr auto kHexPairs = [] {
  constexpr char kDigits[] = "0123456789abcdef";
  std::array<char, 512> pairs{};
  for (size_t i = 0; i < 256; ++i) {
    pairs[2 * i] = kDigits[i >> 4];
    pairs[2 * i + 1] = kDigits[i & 0xf];
  }
  return pairs;
}();

void AppendHex(uint64_t number, std::string& out) {
  char text[16];
  for (size_t i = 0; i < 8; ++i) {
    memcpy(text + 2 * i, kHexPairs.data() + 2 * ((number >> (56 - 8 * i)) & 0xff), 2);
  }
  out.append(text, sizeof(text));
}

bool IsLowerHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

bool IsLowerHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return IsLowerHex(c); });
}

bool AllZero(std::string_view text) {
  return text.find_first_not_of('0') == std::string_view::npos;
}

// Whether something appended behind a comma is outside of quotes.
bool QuotesAreClosed(std::string_view text) {
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    }
  }
  return !quoted;
}

// The request's own values of a field, each with ", " behind it. True: there was one.
template <class Usable>
bool AppendOwnValues(const RequestHead& head, FieldId id, Usable usable, std::string& out) {
  bool any = false;
  for (const HeaderField& field : head.fields) {
    if (field.id != id || field.hop_by_hop || field.value.empty() || !usable(field.value)) continue;
    Append(out, {field.value, ", "});
    any = true;
  }
  return any;
}

// The value of a field that is there once and not for this hop only; empty otherwise.
std::string_view OnlyValue(const RequestHead& head, FieldId id) {
  std::string_view value;
  for (const HeaderField& field : head.fields) {
    if (field.id != id || field.hop_by_hop) continue;
    if (!value.empty()) return {};
    value = field.value;
  }
  return value;
}

bool IsScheme(std::string_view text) {
  return EqualsIgnoreCase(text, "http") || EqualsIgnoreCase(text, "https");
}

// RFC 7239 4. A host has no characters that would need a backslash.
void AppendElement(std::string_view peer, std::string_view scheme, std::string_view host,
                   std::string& out) {
  if (peer.find(':') == std::string_view::npos) {
    Append(out, {"for=", peer});
  } else {
    Append(out, {"for=\"[", peer, "]\""});
  }
  Append(out, {";proto=", scheme});
  if (!host.empty()) Append(out, {";host=\"", host, "\""});
}

}  // namespace

bool ForwardPolicy::Trusts(const IpAddress& peer) const {
  return std::any_of(trusted.begin(), trusted.end(),
                     [&](const IpRange& range) { return range.Contains(peer); });
}

bool IsRequestId(std::string_view text) {
  return !text.empty() && text.size() <= kMaxRequestId &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return IsTokenChar(c) || c == '/' || c == ':' || c == '=' || c == '@';
         });
}

bool IsTraceparent(std::string_view text) {
  // version-trace_id-parent_id-flags; later versions may say more behind another dash.
  if (text.size() < 55) return false;
  const std::string_view version = text.substr(0, 2);
  const std::string_view trace = text.substr(3, 32);
  const std::string_view parent = text.substr(36, 16);
  if (text[2] != '-' || text[35] != '-' || text[52] != '-') return false;
  if (!IsLowerHex(version) || version == "ff") return false;
  if (text.size() > 55 && (version == "00" || text[55] != '-')) return false;
  return IsLowerHex(trace) && !AllZero(trace) && IsLowerHex(parent) && !AllZero(parent) &&
         IsLowerHex(text.substr(53, 2));
}

void AppendRequestId(std::string_view received, FastRandom& random, std::string& out) {
  if (IsRequestId(received)) {
    out.append(received);
    return;
  }
  AppendHex(random.Next(), out);
  AppendHex(random.Next(), out);
}

void AppendNewTraceparent(FastRandom& random, std::string& out) {
  out.append("00-");
  AppendHex(random.Next(), out);
  AppendHex(random.Next() | 1, out);  // not zero, which is no id
  out.push_back('-');
  AppendHex(random.Next() | 1, out);
  out.append("-01");
}

void AppendForwardedLines(const RequestHead& head, const RequestOrigin& origin,
                          const ForwardPolicy& policy, std::string& out) {
  const bool believed = origin.trusted || policy.mode == ForwardPolicy::Mode::kAppend;
  std::string_view scheme = origin.scheme;
  std::string_view host = head.host;
  if (origin.trusted) {
    if (const auto theirs = OnlyValue(head, FieldId::kForwardedProto); IsScheme(theirs)) {
      scheme = theirs;
    }
    if (const auto theirs = OnlyValue(head, FieldId::kForwardedHost); IsValidHost(theirs)) {
      host = theirs;
    }
  }
  out.append("X-Forwarded-For: ");
  if (believed) {
    AppendOwnValues(
        head, FieldId::kForwardedFor, [](std::string_view) { return true; }, out);
  }
  Append(out, {origin.peer, "\r\nX-Forwarded-Proto: ", scheme});
  if (!host.empty()) Append(out, {"\r\nX-Forwarded-Host: ", host});
  out.append("\r\n");
  if (!policy.rfc7239) return;
  out.append("Forwarded: ");
  if (believed) AppendOwnValues(head, FieldId::kForwarded, QuotesAreClosed, out);
  AppendElement(origin.peer, origin.scheme, head.host, out);
  out.append("\r\n");
}

}  // namespace pando::proxy
