#include "artifact/core/source_name.h"

#include <algorithm>

namespace pando::artifact {
namespace {

constexpr std::string_view kPrefix = "sha256:";
constexpr size_t kDigits = 64;

}  // namespace

bool IsDigest(std::string_view text) {
  return text.size() == kDigits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::string DigestName(std::string_view digest) {
  return std::string(kPrefix) + std::string(digest);
}

std::optional<std::string> ParseDigestName(std::string_view name) {
  if (name.substr(0, kPrefix.size()) != kPrefix) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  if (!IsDigest(name)) return std::nullopt;
  return std::string(name);
}

SourceName ParseSourceName(std::string_view text) {
  if (auto digest = ParseDigestName(text)) return {"", *std::move(digest)};
  // From the end: a directory's name may have an @ of its own.
  const size_t at = text.rfind('@');
  if (at != std::string_view::npos) {
    if (auto digest = ParseDigestName(text.substr(at + 1))) {
      return {std::string(text.substr(0, at)), *std::move(digest)};
    }
  }
  return {std::string(text), ""};
}

std::string ToText(const SourceName& source) {
  if (source.digest.empty()) return source.dir;
  return (source.dir.empty() ? "" : source.dir + "@") + DigestName(source.digest);
}

}  // namespace pando::artifact
