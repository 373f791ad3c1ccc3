#include "proxy/core/proxy_protocol.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace pando::proxy {
namespace {

constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr size_t kFixedSize = 16;      // of version 2
constexpr size_t kMaxRest = 4 * 1024;  // addresses and TLVs; real ones have some hundred bytes
constexpr size_t kMaxLine = 107;       // of version 1, by its specification
constexpr std::string_view kLineStart = "PROXY ";

constexpr ProxyHeader kBad{ProxyHeader::Result::kBad, 0, std::nullopt};

size_t Byte(std::string_view data, size_t at) { return static_cast<uint8_t>(data[at]); }

bool IsPort(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text[0] == '0')) return false;
  int port = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
    port = port * 10 + (c - '0');
  }
  return port <= 65'535;
}

bool Starts(std::string_view data, std::string_view with) {
  const size_t size = std::min(data.size(), with.size());
  return data.substr(0, size) == with.substr(0, size);
}

// PROXY TCP4 192.0.2.1 198.51.100.1 56324 443
ProxyHeader ReadLine(std::string_view data) {
  const size_t lf = data.substr(0, kMaxLine).find('\n');
  if (lf == std::string_view::npos) {
    return data.size() >= kMaxLine ? kBad : ProxyHeader();
  }
  if (data[lf - 1] != '\r') return kBad;
  std::string_view line = data.substr(0, lf - 1);
  line.remove_prefix(std::min(kLineStart.size(), line.size()));
  ProxyHeader header{ProxyHeader::Result::kComplete, lf + 1, std::nullopt};
  // What follows is to be ignored, whatever it is.
  if (line == "UNKNOWN" || line.starts_with("UNKNOWN ")) return header;

  std::array<std::string_view, 5> words;
  for (size_t i = 0; i < words.size(); ++i) {
    const size_t space = line.find(' ');
    words[i] = line.substr(0, space);
    if ((space == std::string_view::npos) != (i + 1 == words.size())) return kBad;
    if (space != std::string_view::npos) line.remove_prefix(space + 1);
  }
  if (words[0] != "TCP4" && words[0] != "TCP6") return kBad;
  const bool v6 = words[0] == "TCP6";
  for (size_t i = 1; i <= 2; ++i) {
    if ((words[i].find(':') != std::string_view::npos) != v6 || !ParseIp(words[i])) return kBad;
  }
  if (!IsPort(words[3]) || !IsPort(words[4])) return kBad;
  header.source = ParseIp(words[1]);
  return header;
}

ProxyHeader ReadBinary(std::string_view data) {
  if (data.size() < kFixedSize) return {};
  const size_t command = Byte(data, 12);
  const size_t family = Byte(data, 13);
  const size_t rest = Byte(data, 14) << 8 | Byte(data, 15);
  if ((command != 0x20 && command != 0x21) || rest > kMaxRest) return kBad;
  const bool local = command == 0x20;
  const bool v4 = family == 0x11;
  const bool v6 = family == 0x21;
  if (!local && family != 0x00 && !v4 && !v6) return kBad;
  if (!local && rest < (v4 ? 12u : v6 ? 36u : 0u)) return kBad;
  if (data.size() < kFixedSize + rest) return {};
  ProxyHeader header{ProxyHeader::Result::kComplete, kFixedSize + rest, std::nullopt};
  if (!local && (v4 || v6)) header.source = IpFromBytes(data.substr(kFixedSize, v4 ? 4 : 16));
  return header;
}

}  // namespace

ProxyHeader ReadProxyHeader(std::string_view data) {
  if (data.empty()) return {};
  if (Starts(data, kSignature)) {
    return data.size() < kSignature.size() ? ProxyHeader() : ReadBinary(data);
  }
  if (Starts(data, kLineStart)) {
    return data.size() < kLineStart.size() ? ProxyHeader() : ReadLine(data);
  }
  return kBad;
}

}  // namespace pando::proxy
