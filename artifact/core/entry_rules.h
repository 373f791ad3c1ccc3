// What an archive's entry may be called and where its links may lead, so that nothing of it can
// reach anything outside of the directory it is unpacked to. Pure: names are looked at, not files.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pando::artifact {

constexpr size_t kMaxPathBytes = 2'048;

// `path` without a "./" in front and a "/" behind. Empty: the directory itself.
std::string_view TrimPath(std::string_view path);

// Of a trimmed path. Empty: it is good. Else why not: "is an absolute path", "has a .. in it".
std::string WhyBadPath(std::string_view path);

// Of a symbolic link at `path` (a good one). Links lead to what is beside or below them, by any
// number of ".." at the front as long as that stays inside; a ".." behind a name is refused,
// because that name may be a link itself and its ".." elsewhere.
std::string WhyBadLink(std::string_view path, std::string_view target);

}  // namespace pando::artifact
