#include "controller/spec/mistakes.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace pando::controller {
namespace {

constexpr size_t kMaxQuoted = 60;
// Enough to sort and tell the first ones of a file that is wrong all over.
constexpr size_t kMaxKept = 1'000;

}  // namespace

void Mistakes::Add(int line, std::string_view field, std::string_view text) {
  if (mistakes_.size() >= kMaxKept) {
    ++untold_;
    return;
  }
  std::string message(field);
  if (!field.empty()) message += ": ";
  message += text;
  mistakes_.push_back({filenames_.size() - 1, line, std::move(message)});
}

absl::Status Mistakes::ToStatus() const {
  if (mistakes_.empty()) return absl::OkStatus();
  std::vector<Mistake> sorted = mistakes_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Mistake& a, const Mistake& b) {
    return std::tie(a.file, a.line) < std::tie(b.file, b.line);
  });
  size_t untold = untold_;
  if (sorted.size() > kMaxTold) {
    untold += sorted.size() - kMaxTold;
    sorted.resize(kMaxTold);
  }
  std::vector<std::string> lines;
  for (const Mistake& mistake : sorted) {
    lines.push_back(absl::StrCat(filenames_[mistake.file], ":", mistake.line, ": ", mistake.text));
  }
  if (untold > 0)
    lines.push_back(absl::StrCat(filenames_.back(), ": and ", untold, " more mistakes"));
  return absl::InvalidArgumentError(absl::StrJoin(lines, "\n"));
}

std::string Quoted(std::string_view value) {
  const bool cut = value.size() > kMaxQuoted;
  std::string shown(value.substr(0, kMaxQuoted));
  // Never half a character of several bytes.
  if (cut) {
    while (!shown.empty() && (static_cast<unsigned char>(shown.back()) & 0xc0) == 0x80) {
      shown.pop_back();
    }
    if (!shown.empty() && static_cast<unsigned char>(shown.back()) >= 0xc0) shown.pop_back();
  }
  return absl::StrCat("\"", absl::Utf8SafeCEscape(shown), cut ? "..." : "", "\"");
}

bool IsPlainKey(std::string_view key) {
  return !key.empty() && key.size() <= kMaxQuoted &&
         std::all_of(key.begin(), key.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' ||
                  c == '.';
         });
}

}  // namespace pando::controller
