#include "controller/core/label_rule.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace pando::controller {
namespace {

constexpr char kAllowed[] = "disk=ssd, zone=a|b, zone!=c, gpu or !gpu";

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

absl::Status Bad(std::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", View(text), "\" ", why, " (allowed: ", kAllowed, ")"));
}

bool Carries(const LabelRule& rule, const Labels& labels) {
  const auto found = labels.find(rule.key);
  if (found == labels.end()) return false;
  return std::find(rule.values.begin(), rule.values.end(), found->second) != rule.values.end();
}

}  // namespace

absl::StatusOr<LabelRule> ParseLabelRule(std::string_view text) {
  LabelRule rule;
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos) {
    const bool absent = !text.empty() && text.front() == '!';
    rule.kind = absent ? LabelRule::Kind::kAbsent : LabelRule::Kind::kPresent;
    rule.key = text.substr(absent ? 1 : 0);
  } else {
    const bool negated = equals > 0 && text[equals - 1] == '!';
    rule.kind = negated ? LabelRule::Kind::kNoneOf : LabelRule::Kind::kOneOf;
    rule.key = text.substr(0, negated ? equals - 1 : equals);
    for (const absl::string_view value : absl::StrSplit(View(text.substr(equals + 1)), '|')) {
      if (value.empty()) return Bad(text, "has an empty value");
      rule.values.emplace_back(value);
    }
  }
  if (rule.key.empty()) return Bad(text, "names no label");
  if (rule.key.find_first_of("!|= \t") != std::string::npos) {
    return Bad(text, "is not a rule for a label");
  }
  return rule;
}

std::string ToText(const LabelRule& rule) {
  switch (rule.kind) {
    case LabelRule::Kind::kOneOf:
      return absl::StrCat(rule.key, "=", absl::StrJoin(rule.values, "|"));
    case LabelRule::Kind::kNoneOf:
      return absl::StrCat(rule.key, "!=", absl::StrJoin(rule.values, "|"));
    case LabelRule::Kind::kPresent:
      return rule.key;
    case LabelRule::Kind::kAbsent:
      return absl::StrCat("!", rule.key);
  }
  return "";
}

bool Matches(const LabelRule& rule, const Labels& labels) {
  switch (rule.kind) {
    case LabelRule::Kind::kOneOf:
      return Carries(rule, labels);
    case LabelRule::Kind::kNoneOf:
      return !Carries(rule, labels);
    case LabelRule::Kind::kPresent:
      return labels.count(rule.key) > 0;
    case LabelRule::Kind::kAbsent:
      return labels.count(rule.key) == 0;
  }
  return false;
}

std::string WhyNotMatching(const LabelRule& rule, const Labels& labels) {
  const auto found = labels.find(rule.key);
  if (found == labels.end()) return absl::StrCat("has no label ", rule.key);
  return absl::StrCat("has ", rule.key, "=", found->second);
}

}  // namespace pando::controller
