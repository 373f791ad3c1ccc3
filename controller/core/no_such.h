// The answer to a name that nothing has: with the names there are, for one that was mistyped.
#pragma once

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace pando::controller {

inline absl::string_view NameOf(const std::string& name) { return name; }
template <class Id>
absl::string_view NameOf(const Id& id) {
  return id.value;
}

// NotFound: "no such node: c (there are: a, b)". `known` is a map by name or id; of many, the first
// are named.
template <class Map>
absl::Status NoSuch(absl::string_view kind, absl::string_view name, const Map& known) {
  constexpr size_t kNamed = 10;
  std::string names;
  size_t count = 0;
  for (const auto& entry : known) {
    if (++count > kNamed) break;
    absl::StrAppend(&names, names.empty() ? "" : ", ", NameOf(entry.first));
  }
  if (known.empty()) names = "none";
  if (known.size() > kNamed) absl::StrAppend(&names, " and ", known.size() - kNamed, " more");
  return absl::NotFoundError(
      absl::StrCat("no such ", kind, ": ", name, " (there are: ", names, ")"));
}

}  // namespace pando::controller
