#include "proxy/control/xds_field.h"

#include <arpa/inet.h>

#include <array>

#include "absl/strings/str_cat.h"

namespace pando::proxy {

absl::Status Refuse(std::string_view field, std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(std::string(field), ": ", std::string(why)));
}

absl::Status WithResource(XdsType type, const std::string& name, const absl::Status& status) {
  if (status.ok()) return status;
  constexpr std::array<const char*, kXdsTypes.size()> kKinds = {"cluster", "endpoints", "listener",
                                                                "route"};
  return {status.code(), absl::StrCat(kKinds[static_cast<size_t>(type)], " ",
                                      name.empty() ? "\"\"" : name, ": ", status.message())};
}

std::string Indexed(std::string_view field, int index) {
  return absl::StrCat(std::string(field), "[", index, "]");
}

std::string Sub(std::string_view field, std::string_view name) {
  return absl::StrCat(std::string(field), ".", std::string(name));
}

absl::StatusOr<Millis> ToMillis(std::string_view field,
                                const google::protobuf::Duration& duration) {
  constexpr int64_t kMaxSeconds = 315'576'000'000;  // the limit of the type itself
  constexpr int32_t kNanosPerMilli = 1'000'000;
  const auto text = [&] {
    return absl::StrCat(duration.seconds(), " s ", duration.nanos(), " ns");
  };
  if (duration.seconds() < 0 || duration.nanos() < 0) {
    return Refuse(field, absl::StrCat(text(), " is negative"));
  }
  if (duration.seconds() > kMaxSeconds || duration.nanos() >= 1'000'000'000) {
    return Refuse(field, absl::StrCat(text(), " is not a duration"));
  }
  return Millis{duration.seconds() * 1'000 +
                (duration.nanos() + kNanosPerMilli - 1) / kNanosPerMilli};
}

absl::StatusOr<SocketEndpoint> ToSocketEndpoint(std::string_view field,
                                                const envoy::config::core::v3::Address& address) {
  using envoy::config::core::v3::SocketAddress;
  if (address.has_pipe()) {
    return Refuse(Sub(field, "pipe"), absl::StrCat("\"", address.pipe().path(),
                                                   "\": only socket_address is supported"));
  }
  const std::string socket_field = Sub(field, "socket_address");
  if (!address.has_socket_address()) return NotSet(socket_field);
  const SocketAddress& socket = address.socket_address();
  if (socket.protocol() != SocketAddress::TCP) {
    return Refuse(Sub(socket_field, "protocol"), "only TCP is supported");
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  std::array<unsigned char, sizeof(in6_addr)> binary{};
  for (const int family : {AF_INET, AF_INET6}) {
    if (inet_pton(family, socket.address().c_str(), binary.data()) != 1) continue;
    inet_ntop(family, binary.data(), text.data(), text.size());
  }
  // c_str() ends at a zero byte; what follows it must not go unnoticed.
  if (text[0] == '\0' || socket.address().find('\0') != std::string::npos) {
    return Refuse(Sub(socket_field, "address"),
                  absl::StrCat("\"", socket.address(), "\" is not an IPv4 or IPv6 address"));
  }
  if (socket.port_value() < 1 || socket.port_value() > 65535) {
    return Refuse(Sub(socket_field, "port_value"),
                  absl::StrCat(socket.port_value(), " is not in 1-65535"));
  }
  return SocketEndpoint{text.data(), static_cast<uint16_t>(socket.port_value())};
}

absl::Status CheckFromAds(std::string_view field,
                          const envoy::config::core::v3::ConfigSource& source) {
  if (source.has_ads() || source.has_self()) return absl::OkStatus();
  return Refuse(field, source.has_api_config_source()
                           ? "only ads is supported, not api_config_source"
                           : "not set (ads is needed)");
}

}  // namespace pando::proxy
