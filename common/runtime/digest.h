// SHA-256, for content hashes: xDS resource versions, artifact names.
#pragma once

#include <string>
#include <string_view>

namespace pando {

std::string Sha256Hex(std::string_view bytes);
// The first 128 bits, 32 hex digits: enough to tell contents apart, stable over restarts.
std::string ContentVersion(std::string_view bytes);

}  // namespace pando
