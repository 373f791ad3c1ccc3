// What the decoders of xDS resources share: refusals that name the field, and checked scalars.
#pragma once

#include <google/protobuf/any.pb.h>
#include <google/protobuf/duration.pb.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "envoy/config/core/v3/core.pb.h"
#include "proxy/core/xds_subscription.h"

namespace pando::proxy {

// "field: why"
absl::Status Refuse(std::string_view field, std::string_view why);
inline absl::Status NotSet(std::string_view field) { return Refuse(field, "not set"); }
inline absl::Status Unsupported(std::string_view field) {
  return Refuse(field, "is set but not supported");
}
// Puts "<kind> <name>: " before a decoder's refusal.
absl::Status WithResource(XdsType type, const std::string& name, const absl::Status& status);

// "filter_chains[0].filters[1]"
std::string Indexed(std::string_view field, int index);
std::string Sub(std::string_view field, std::string_view name);  // "field.name"

// Finds `Message` in a typed Any; kInvalidArgument names what else is in it.
template <class Message>
absl::Status Unpack(std::string_view field, const google::protobuf::Any& any, Message& message) {
  const std::string want = "type.googleapis.com/" + message.GetDescriptor()->full_name();
  if (any.type_url() != want) {
    return Refuse(field, "type_url is \"" + any.type_url() + "\", not \"" + want + "\"");
  }
  if (!message.ParseFromString(any.value())) return Refuse(field, "the bytes are not of its type");
  return absl::OkStatus();
}

// The message in a resource of the response.
template <class Message>
absl::Status UnpackResource(const std::string& any_bytes, Message& message) {
  google::protobuf::Any any;
  if (!any.ParseFromString(any_bytes)) return Refuse("resource", "the bytes are not an Any");
  return Unpack("resource", any, message);
}

// Not negative, rounded up to milliseconds.
absl::StatusOr<Millis> ToMillis(std::string_view field, const google::protobuf::Duration& duration);

struct SocketEndpoint {
  std::string address;  // numeric, in its usual form
  uint16_t port = 0;
};
absl::StatusOr<SocketEndpoint> ToSocketEndpoint(std::string_view field,
                                                const envoy::config::core::v3::Address& address);

// Only the stream the resource came by is a source of others.
absl::Status CheckFromAds(std::string_view field,
                          const envoy::config::core::v3::ConfigSource& source);

}  // namespace pando::proxy
