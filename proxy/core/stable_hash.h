// Hashes that are the same in every process and on every host, so that all proxies agree on who
// gets which key.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "proxy/core/upstream_table.h"

namespace pando::proxy {

// splitmix64's finalizer: every bit of the input moves half of the output's.
inline uint64_t MixHash(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

inline uint64_t StableHash(std::string_view text) {  // FNV-1a, mixed
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return MixHash(hash);
}

// The name of a slot ("web.3") outlives moves and restarts; without one, the address has to do.
inline uint64_t EndpointHash(const Endpoint& endpoint) {
  if (!endpoint.instance.empty()) return StableHash(endpoint.instance);
  return StableHash(absl::StrCat(endpoint.address, " ", endpoint.port));
}

}  // namespace pando::proxy
