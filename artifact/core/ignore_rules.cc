#include "artifact/core/ignore_rules.h"

#include <fnmatch.h>

#include <span>

#include "absl/strings/str_split.h"

namespace pando::artifact {
namespace {

constexpr std::string_view kAnyDirectories = "**";

// Blanks at the end do not count, unless a backslash stands before them.
std::string_view TrimBlanks(std::string_view line) {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  while (!line.empty() && line.back() == ' ' &&
         (line.size() < 2 || line[line.size() - 2] != '\\')) {
    line.remove_suffix(1);
  }
  return line;
}

std::vector<std::string> SplitPath(std::string_view path) {
  return absl::StrSplit(absl::string_view(path.data(), path.size()), '/');
}

bool MatchParts(std::span<const std::string> pattern, std::span<const std::string> path) {
  if (pattern.empty()) return path.empty();
  if (pattern[0] != kAnyDirectories) {
    return !path.empty() && fnmatch(pattern[0].c_str(), path[0].c_str(), 0) == 0 &&
           MatchParts(pattern.subspan(1), path.subspan(1));
  }
  if (pattern.size() == 1) return !path.empty();  // "a/**": all that is in a, not a itself
  for (size_t skipped = 0; skipped <= path.size(); ++skipped) {
    if (MatchParts(pattern.subspan(1), path.subspan(skipped))) return true;
  }
  return false;
}

}  // namespace

IgnoreRules::IgnoreRules(std::string_view text) {
  for (const absl::string_view part :
       absl::StrSplit(absl::string_view(text.data(), text.size()), '\n')) {
    std::string_view line = TrimBlanks({part.data(), part.size()});
    if (line.empty() || line.front() == '#') continue;
    Rule rule;
    if (line.front() == '!') {
      rule.takes_back = true;
      line.remove_prefix(1);
    }
    if (!line.empty() && line.back() == '/') {
      rule.directories_only = true;
      line.remove_suffix(1);
    }
    if (line.empty()) continue;
    const bool tied = line.find('/') != std::string_view::npos;
    if (line.front() == '/') line.remove_prefix(1);
    if (line.empty()) continue;
    if (!tied) rule.parts.emplace_back(kAnyDirectories);
    for (std::string& name : SplitPath(line)) {
      // "**/**" says no more than "**", and would be tried in many more ways.
      const bool repeated =
          name == kAnyDirectories && !rule.parts.empty() && rule.parts.back() == kAnyDirectories;
      if (!repeated) rule.parts.push_back(std::move(name));
    }
    rules_.push_back(std::move(rule));
  }
}

std::optional<bool> IgnoreRules::Ignores(std::string_view path, bool is_directory) const {
  if (rules_.empty()) return std::nullopt;
  const std::vector<std::string> parts = SplitPath(path);
  for (auto rule = rules_.rbegin(); rule != rules_.rend(); ++rule) {
    if (rule->directories_only && !is_directory) continue;
    if (MatchParts(rule->parts, parts)) return !rule->takes_back;
  }
  return std::nullopt;
}

}  // namespace pando::artifact
