#include "common/runtime/digest.h"

#include <openssl/sha.h>

#include "absl/strings/escaping.h"

namespace pando {
namespace {

std::string HexOfPrefix(std::string_view bytes, size_t prefix_bytes) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest);
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest), prefix_bytes));
}

}  // namespace

std::string Sha256Hex(std::string_view bytes) { return HexOfPrefix(bytes, SHA256_DIGEST_LENGTH); }

std::string ContentVersion(std::string_view bytes) { return HexOfPrefix(bytes, 16); }

}  // namespace pando
