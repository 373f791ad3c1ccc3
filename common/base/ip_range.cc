#include "common/base/ip_range.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>

namespace pando {
namespace {

constexpr std::array<uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr int kMappedBits = 96;

bool IsV4(const IpAddress& address) {
  return std::equal(kMapped.begin(), kMapped.end(), address.bytes.begin());
}

// Of the byte that holds the prefix's last bits.
uint8_t Mask(int bits) { return static_cast<uint8_t>(0xff00 >> bits); }

}  // namespace

IpAddress IpFromBytes(std::string_view bytes) {
  IpAddress result;
  if (bytes.size() == 4) {
    std::copy(kMapped.begin(), kMapped.end(), result.bytes.begin());
  } else if (bytes.size() != 16) {
    std::abort();
  }
  memcpy(result.bytes.data() + 16 - bytes.size(), bytes.data(), bytes.size());
  return result;
}

std::optional<IpAddress> ParseIp(std::string_view text) {
  char terminated[INET6_ADDRSTRLEN];
  if (text.empty() || text.size() >= sizeof(terminated)) return std::nullopt;
  terminated[text.copy(terminated, sizeof(terminated) - 1)] = '\0';
  // A NUL inside would end the text early.
  if (strlen(terminated) != text.size()) return std::nullopt;
  char bytes[16];
  if (inet_pton(AF_INET, terminated, bytes) == 1) return IpFromBytes({bytes, 4});
  if (inet_pton(AF_INET6, terminated, bytes) == 1) return IpFromBytes({bytes, 16});
  return std::nullopt;
}

IpText FormatIp(const IpAddress& address) {
  IpText result;
  const bool v4 = IsV4(address);
  const uint8_t* bytes = address.bytes.data() + (v4 ? 12 : 0);
  inet_ntop(v4 ? AF_INET : AF_INET6, bytes, result.text, sizeof(result.text));
  result.size = static_cast<uint8_t>(strlen(result.text));
  return result;
}

std::optional<IpRange> IpRange::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) {
    return Make(text, text.find(':') == std::string_view::npos ? 32 : 128);
  }
  const std::string_view digits = text.substr(slash + 1);
  int length = 0;
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), length);
  const bool padded = digits.size() > 1 && digits.front() == '0';
  if (error != std::errc() || end != digits.end() || padded) return std::nullopt;
  return Make(text.substr(0, slash), length);
}

std::optional<IpRange> IpRange::Make(std::string_view address, int prefix_length) {
  const std::optional<IpAddress> base = ParseIp(address);
  if (!base) return std::nullopt;
  const bool v4 = address.find(':') == std::string_view::npos;
  if (prefix_length < 0 || prefix_length > (v4 ? 32 : 128)) return std::nullopt;
  IpRange range;
  range.base_ = *base;
  range.bits_ = static_cast<uint8_t>(prefix_length + (v4 ? kMappedBits : 0));
  for (size_t bit = range.bits_; bit < 128; ++bit) {
    if ((base->bytes[bit / 8] & (0x80 >> (bit % 8))) != 0) return std::nullopt;
  }
  return range;
}

bool IpRange::Contains(const IpAddress& address) const {
  const size_t whole = bits_ / 8;
  if (memcmp(base_.bytes.data(), address.bytes.data(), whole) != 0) return false;
  if (bits_ % 8 == 0) return true;
  return ((base_.bytes[whole] ^ address.bytes[whole]) & Mask(bits_ % 8)) == 0;
}

int IpRange::prefix_length() const {
  return IsV4(base_) && bits_ >= kMappedBits ? bits_ - kMappedBits : bits_;
}

std::string IpRange::ToString() const { return address() + "/" + std::to_string(prefix_length()); }

}  // namespace pando
