// IP addresses as values and ranges of them ("10.0.0.0/8"). Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pando {

// IPv4 addresses are kept as ::ffff:a.b.c.d, so that one comparison serves both families.
struct IpAddress {
  std::array<uint8_t, 16> bytes{};
  bool operator==(const IpAddress&) const = default;
};

// `bytes` are 4 or 16, in network order; anything else aborts.
IpAddress IpFromBytes(std::string_view bytes);
// Numeric only: "10.1.2.3" or "2001:db8::1".
std::optional<IpAddress> ParseIp(std::string_view text);

// The longest text is 45 characters.
struct IpText {
  char text[46];
  uint8_t size = 0;
  std::string_view view() const { return {text, size}; }
};
IpText FormatIp(const IpAddress& address);

class IpRange {
 public:
  // "10.0.0.0/8", "2001:db8::/32", or one address. Bits behind the prefix must be zero: who writes
  // 10.0.0.1/8 meant something else.
  static std::optional<IpRange> Parse(std::string_view text);
  // As Parse of "`address`/`prefix_length`".
  static std::optional<IpRange> Make(std::string_view address, int prefix_length);

  bool Contains(const IpAddress& address) const;
  // As Parse takes it: with the prefix, always.
  std::string ToString() const;
  // Of the text: the address, and the length of its prefix in the address's own family.
  std::string address() const { return std::string(FormatIp(base_).view()); }
  int prefix_length() const;

  bool operator==(const IpRange&) const = default;

 private:
  IpAddress base_;
  uint8_t bits_ = 0;  // of the 128
};

}  // namespace pando
