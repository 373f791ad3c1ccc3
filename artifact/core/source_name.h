// How an artifact is named: by the SHA-256 of its bytes, written "sha256:<64 hex digits>". In a
// spec, `source` is that, or a directory, or a directory with the name of what it was packed to:
// "./app@sha256:...".
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pando::artifact {

// 64 hex digits in lower case: also safe as a file's name.
bool IsDigest(std::string_view text);

// "sha256:1f2e..." of a digest.
std::string DigestName(std::string_view digest);
// The digest of such a name; nothing when it is none.
std::optional<std::string> ParseDigestName(std::string_view name);

struct SourceName {
  std::string dir;     // empty: not said
  std::string digest;  // empty: to be packed yet
};
SourceName ParseSourceName(std::string_view text);
// "./app@sha256:1f2e...": what ParseSourceName reads back.
std::string ToText(const SourceName& source);

}  // namespace pando::artifact
