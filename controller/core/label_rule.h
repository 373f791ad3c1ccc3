// What an app asks of a node's labels, as operators write it. Pure.
//
//   disk=ssd         carries it with this value
//   zone=a|b         with one of these
//   zone!=c|d        with none of these; a node without the label is fine
//   gpu    !gpu      carries it with any value; does not carry it
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace pando::controller {

using Labels = std::map<std::string, std::string>;

struct LabelRule {
  enum class Kind { kOneOf, kNoneOf, kPresent, kAbsent };

  std::string key;
  Kind kind = Kind::kPresent;
  std::vector<std::string> values;

  bool operator==(const LabelRule&) const = default;
};

// kInvalidArgument says what is wrong with the text and what is allowed.
absl::StatusOr<LabelRule> ParseLabelRule(std::string_view text);
// The text it is parsed from.
std::string ToText(const LabelRule& rule);

bool Matches(const LabelRule& rule, const Labels& labels);
// What a node that does not match says: "has disk=hdd", "has no label disk".
std::string WhyNotMatching(const LabelRule& rule, const Labels& labels);

}  // namespace pando::controller
