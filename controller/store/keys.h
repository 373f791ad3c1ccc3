// What every backend does alike with keys: the range of a prefix, the check of a condition.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "controller/store/store.h"

namespace pando::controller {

// The smallest key larger than every key with this prefix; nullopt when there is none (the prefix
// is empty or all 0xff).
inline std::optional<std::string> PrefixEnd(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (prefix.empty()) return std::nullopt;
  prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

// `actual` is the key's revision, 0 when it does not exist.
inline absl::Status CheckRevision(const StoreCondition& condition, int64_t actual) {
  if (condition.revision == actual) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat("key ", condition.key, ": expected revision ",
                                         condition.revision, ", found ", actual));
}

}  // namespace pando::controller
