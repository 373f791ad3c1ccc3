#include "controller/spec/mistakes.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace pando::controller {
namespace {

constexpr size_t kMaxQuoted = 60;
// Enough to sort and tell the first ones of a file that is wrong all over.
constexpr size_t kMaxKept = 1'000;

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

}  // namespace

void Mistakes::Add(int line, std::string_view field, std::string_view text) {
  if (mistakes_.size() >= kMaxKept) {
    ++untold_;
    return;
  }
  std::string message(field);
  if (!field.empty()) message += ": ";
  message += text;
  mistakes_.push_back({line, std::move(message)});
}

absl::Status Mistakes::ToStatus() const {
  if (mistakes_.empty()) return absl::OkStatus();
  std::vector<Mistake> sorted = mistakes_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Mistake& a, const Mistake& b) { return a.line < b.line; });
  size_t untold = untold_;
  if (sorted.size() > kMaxTold) {
    untold += sorted.size() - kMaxTold;
    sorted.resize(kMaxTold);
  }
  std::vector<std::string> lines;
  for (const Mistake& mistake : sorted) {
    lines.push_back(absl::StrCat(filename_, ":", mistake.line, ": ", mistake.text));
  }
  if (untold > 0) lines.push_back(absl::StrCat(filename_, ": and ", untold, " more mistakes"));
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

std::string Nearest(std::string_view word, const std::vector<std::string>& words) {
  constexpr size_t kMaxLength = 40;  // of what is still a typo
  if (word.size() > kMaxLength) return "";
  std::string nearest;
  // A third of the letters wrong is another word.
  size_t best = std::max<size_t>(1, std::min<size_t>(2, word.size() / 3)) + 1;
  for (const std::string& candidate : words) {
    const size_t distance = EditDistance(word, candidate);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace pando::controller
