#include "artifact/core/entry_rules.h"

#include <algorithm>

namespace pando::artifact {
namespace {

// Takes the first part of a path off it.
std::string_view NextPart(std::string_view& rest) {
  const size_t slash = rest.find('/');
  const std::string_view part = rest.substr(0, slash);
  rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
  return part;
}

}  // namespace

std::string_view TrimPath(std::string_view path) {
  while (path.substr(0, 2) == "./") path.remove_prefix(2);
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return path == "." ? std::string_view() : path;
}

std::string WhyBadPath(std::string_view path) {
  if (path.empty()) return "has no name";
  if (path.front() == '/') return "is an absolute path";
  if (path.size() > kMaxPathBytes) return "has a name that is too long";
  if (path.find('\0') != std::string_view::npos) return "has a zero byte in its name";
  for (std::string_view rest = path; !rest.empty();) {
    const std::string_view part = NextPart(rest);
    if (part == "..") return "has a .. in its path";
    if (part.empty() || part == ".") return "has an empty part in its path";
    if (part.size() > 255) return "has a name that is too long";
  }
  return "";
}

std::string WhyBadLink(std::string_view path, std::string_view target) {
  if (target.empty()) return "is a link to nothing";
  if (target.size() > kMaxPathBytes) return "is a link whose target is too long";
  if (target.front() == '/') return "is a link to an absolute path";
  auto depth = std::count(path.begin(), path.end(), '/');
  bool named = false;
  for (std::string_view rest = target; !rest.empty();) {
    const std::string_view part = NextPart(rest);
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      named = true;
    } else if (named) {
      return "is a link with a .. behind a name";
    } else if (--depth < 0) {
      return "is a link that leads out";
    }
  }
  return "";
}

}  // namespace pando::artifact
