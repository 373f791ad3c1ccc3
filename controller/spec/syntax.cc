#include "controller/spec/syntax.h"

#include <arpa/inet.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/ip_range.h"
#include "controller/spec/mistakes.h"

namespace pando::controller {
namespace {

constexpr size_t kMaxPath = 1'000;
constexpr size_t kMaxHost = 253;
constexpr size_t kLongestPath = 4'095;
constexpr size_t kLongestAccount = 64;

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsWord(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_'; }

Complaint Refuse(std::string_view text, std::string_view what, std::string_view allowed) {
  std::string complaint = Quoted(text);
  complaint += " is not ";
  complaint += what;
  complaint += " (allowed: ";
  complaint += allowed;
  complaint += ")";
  return complaint;
}

bool IsHostLabel(std::string_view label) {
  return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
         std::all_of(label.begin(), label.end(),
                     [](char c) { return IsLower(c) || IsDigit(c) || c == '-' || c == '_'; });
}

bool IsHostName(std::string_view text) {
  if (text.empty() || text.size() > kMaxHost) return false;
  while (true) {
    const size_t dot = text.find('.');
    if (!IsHostLabel(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

bool IsPath(std::string_view text) {
  return text.starts_with('/') && text.size() <= kMaxPath &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

bool IsAccountName(std::string_view text) {
  return !text.empty() && text.size() <= kLongestAccount && text[0] != '-' &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return IsWord(c) || c == '-' || c == '.' || c == '$'; });
}

bool HasDotSegment(std::string_view path) {
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const std::string_view segment = path.substr(0, path.find('/'));
    if (segment == "." || segment == "..") return true;
    path.remove_prefix(segment.size());
  }
  return false;
}

}  // namespace

Complaint CheckName(std::string_view text) {
  const bool fine = !text.empty() && text.size() <= 40 && IsLower(text.front()) &&
                    std::all_of(text.begin(), text.end(),
                                [](char c) { return IsLower(c) || IsDigit(c) || c == '-'; });
  if (fine) return std::nullopt;
  return Refuse(text, "a name",
                "1 to 40 of a-z, 0-9 and -, the first one a letter, for example web-api");
}

Complaint CheckEnvName(std::string_view text) {
  if (text.empty() || IsDigit(text.front()) || !std::all_of(text.begin(), text.end(), IsWord)) {
    return Refuse(text, "the name of a variable", "A-Z, a-z, 0-9 and _, the first one no digit");
  }
  if (text == "PORT" || text == "NODE_APP_INSTANCE" || text.starts_with("PANDO_")) {
    return "is reserved: every instance gets its own value from the agent";
  }
  return std::nullopt;
}

Complaint CheckHost(std::string_view text) {
  if (text == "*") return std::nullopt;
  if (IsHostName(text.starts_with("*.") ? text.substr(2) : text)) return std::nullopt;
  return Refuse(text, "a host",
                "\"*\", an exact name like www.example.com, or \"*.example.com\"; without a port");
}

Complaint CheckRoutePath(std::string_view text) {
  if (IsPath(text) && text.find_first_of("?#") == std::string_view::npos &&
      text.find("//") == std::string_view::npos && !HasDotSegment(text)) {
    return std::nullopt;
  }
  return Refuse(text, "a path to route by",
                "it begins with /, for example /api; no query, no blanks, no . or .. in it");
}

Complaint CheckProbePath(std::string_view text) {
  if (IsPath(text) && text.find('#') == std::string_view::npos) return std::nullopt;
  return Refuse(text, "a path to probe", "it begins with /, for example /healthz; no blanks");
}

Complaint CheckFieldName(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  const bool is_token =
      !text.empty() && text.size() <= 100 && std::all_of(text.begin(), text.end(), [&](char c) {
        return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
               kMarks.find(c) != std::string_view::npos;
      });
  if (!is_token) {
    return Refuse(text, "the name of a header field", "for example Authorization");
  }
  for (const absl::string_view reserved :
       {"host", "connection", "content-length", "transfer-encoding"}) {
    if (absl::EqualsIgnoreCase(reserved, absl::string_view(text.data(), text.size()))) {
      return "is set by the probe itself (the Host field is set by host)";
    }
  }
  return std::nullopt;
}

Complaint CheckFieldValue(std::string_view text) {
  if (text.size() <= kMaxPath &&
      std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < 0x7f; })) {
    return std::nullopt;
  }
  return Refuse(text, "the value of a header field", "up to 1000 printable ASCII characters");
}

Complaint CheckHostField(std::string_view text) {
  if (!text.empty() && text.size() <= kMaxHost &&
      std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; })) {
    return std::nullopt;
  }
  return Refuse(text, "a host to ask for", "for example www.example.com or localhost:3000");
}

Complaint CheckGrpcService(std::string_view text) {
  if (text.size() <= kMaxHost && std::all_of(text.begin(), text.end(), [](char c) {
        return IsWord(c) || c == '.' || c == '-' || c == '/';
      })) {
    return std::nullopt;
  }
  return Refuse(text, "a service", "for example acme.v1.Orders, or \"\" for the server as a whole");
}

Complaint CheckMetricsPath(std::string_view text) {
  if (IsPath(text) && text.find('#') == std::string_view::npos) return std::nullopt;
  return Refuse(text, "a path for Prometheus", "it begins with /, for example /metrics; no blanks");
}

Complaint CheckLabelName(std::string_view text) {
  const bool fine = !text.empty() && text.size() <= 63 &&
                    absl::ascii_isalnum(static_cast<unsigned char>(text.front())) &&
                    std::all_of(text.begin(), text.end(), [](char c) {
                      return IsWord(c) || c == '.' || c == '-' || c == '/';
                    });
  if (fine) return std::nullopt;
  return Refuse(text, "the name of a label",
                "1 to 63 of A-Z, a-z, 0-9, _, -, . and /, the first one a letter or digit");
}

Complaint CheckLabelValue(std::string_view text) {
  if (text.size() <= 63 &&
      std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < 0x7f; })) {
    return std::nullopt;
  }
  return Refuse(text, "the value of a label", "up to 63 printable ASCII characters");
}

Complaint CheckAbsolutePath(std::string_view text) {
  if (text.size() > 1 && text.size() <= kLongestPath && text[0] == '/' &&
      text.find('\0') == std::string_view::npos) {
    return std::nullopt;
  }
  return Refuse(text, "a path",
                "an absolute one on the proxies' hosts, for example /etc/tls/a.pem");
}

Complaint CheckAccount(std::string_view text) {
  const bool is_number = !text.empty() && std::all_of(text.begin(), text.end(), IsDigit);
  uint32_t id = 0;
  const bool fine = is_number
                        ? absl::SimpleAtoi(absl::string_view(text.data(), text.size()), &id) &&
                              id != UINT32_MAX  // which means nobody
                        : IsAccountName(text);
  if (fine) return std::nullopt;
  return Refuse(text, "a user or group", "a name like www-data, or a number");
}

Complaint CheckNodePath(std::string_view text) {
  if (text.starts_with('/') && text.size() <= kLongestPath) return std::nullopt;
  return Refuse(text, "a path", "an absolute one on the nodes, for example /etc");
}

Complaint CheckEnvFile(std::string_view text) {
  if (!text.empty() && text.size() <= kLongestPath) return std::nullopt;
  return Refuse(text, "a file", "a path on the nodes, relative to dir, for example .env");
}

Complaint CheckAddress(std::string_view text) {
  const std::string address(text);
  in6_addr parsed{};
  if (inet_pton(AF_INET, address.c_str(), &parsed) == 1) return std::nullopt;
  // Nobody can listen on an IPv4 address that is written as one of IPv6.
  if (inet_pton(AF_INET6, address.c_str(), &parsed) == 1 && !IN6_IS_ADDR_V4MAPPED(&parsed)) {
    return std::nullopt;
  }
  return Refuse(text, "an address", "a numeric one, for example 0.0.0.0, 127.0.0.1 or ::");
}

std::string CanonicalAddress(const std::string& address) {
  in6_addr parsed{};
  char text[INET6_ADDRSTRLEN] = "";
  if (inet_pton(AF_INET6, address.c_str(), &parsed) != 1) return address;
  return inet_ntop(AF_INET6, &parsed, text, sizeof(text));
}

Complaint CheckAddressRange(std::string_view text) {
  if (IpRange::Parse(text).has_value()) return std::nullopt;
  return Refuse(text, "a range of addresses",
                "10.0.0.0/8, 2001:db8::/32 or one address, without bits behind the prefix");
}

}  // namespace pando::controller
