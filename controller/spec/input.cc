#include "controller/spec/input.h"

#include <algorithm>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/nearest.h"
#include "controller/spec/quantities.h"

namespace pando::controller {
namespace {

constexpr char kDurationExample[] = ", for example 500ms";
constexpr char kSizeExample[] = ", for example 512Mi or 1G";
constexpr char kCpuExample[] = ", for example 0.5 or 500m";

std::string_view KindWord(YamlNode::Kind kind) {
  switch (kind) {
    case YamlNode::Kind::kNothing:
      return "nothing";
    case YamlNode::Kind::kText:
      return "a text";
    case YamlNode::Kind::kList:
      return "a list";
    case YamlNode::Kind::kMap:
      return "a map";
  }
  return "unknown";
}

bool IsWhole(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::string Allowed(std::string_view what) {
  std::string text = " (allowed: ";
  text += what;
  text += ")";
  return text;
}

std::string Needed(std::string_view what) {
  std::string text = " (needed: ";
  text += what;
  text += ")";
  return text;
}

std::string Between(const std::string& min, const std::string& max, const char* example) {
  return absl::StrCat(min, " to ", max, example);
}

// Of a unit: with the reason when only the unit is missing.
std::string NotA(const std::string& text, const char* what, const std::string& allowed) {
  if (IsDecimal(text)) return absl::StrCat(Quoted(text), " has no unit", Allowed(allowed));
  return absl::StrCat(Quoted(text), " is not ", what, Allowed(allowed));
}

std::string OutOfRange(const std::string& text, const std::string& allowed) {
  return absl::StrCat(Quoted(text), " is out of range", Allowed(allowed));
}

}  // namespace

void Input::FailUnknownKey(const Input& map, std::string_view key,
                           const std::vector<std::string>& known) const {
  std::string text = "unknown key ";
  const bool plain = IsPlainKey(key);
  text += plain ? std::string(key) : Quoted(key);
  const std::string nearest = Nearest(key, known);
  if (nearest.empty()) {
    text += Allowed(absl::StrJoin(known, ", "));
  } else {
    absl::StrAppend(&text, " (did you mean ", nearest, "?)");
  }
  mistakes_.Add(line_, map.field_, text);
}

std::optional<Input> Input::Find(std::string_view key) const {
  for (const YamlNode::Entry& entry : node_.entries) {
    if (entry.key->kind == YamlNode::Kind::kText && entry.key->text == key) {
      return Input(*entry.value, ChildField(key), entry.key->line, mistakes_);
    }
  }
  return std::nullopt;
}

void Input::FailMissing(std::string_view key, std::string_view wanted) const {
  mistakes_.Add(line_, ChildField(key), "is missing" + Needed(wanted));
}

void Input::FailType(std::string_view wanted, std::string_view allowed) const {
  std::string text = "must be ";
  text += wanted;
  text += ", is ";
  text += node_.quoted ? std::string_view("a quoted text") : KindWord(node_.kind);
  if (!allowed.empty()) text += Allowed(allowed);
  Fail(text);
}

const std::string* Input::Bare(std::string_view wanted, std::string_view allowed) const {
  if (IsText() && !node_.quoted) return &node_.text;
  FailType(wanted, allowed);
  return nullptr;
}

std::optional<std::string> Input::Text() const {
  if (IsText()) return node_.text;
  FailType("a text", "");
  return std::nullopt;
}

std::optional<std::string> Input::Text(Complaint (*check)(std::string_view)) const {
  std::optional<std::string> text = Text();
  if (!text) return std::nullopt;
  if (const Complaint complaint = check(*text)) {
    Fail(*complaint);
    return std::nullopt;
  }
  return text;
}

std::optional<bool> Input::Bool() const {
  const std::string* text = Bare("true or false", "");
  if (text == nullptr) return std::nullopt;
  if (*text == "true") return true;
  if (*text == "false") return false;
  Fail(absl::StrCat(Quoted(*text), " is not a truth value", Allowed("true, false")));
  return std::nullopt;
}

std::optional<uint32_t> Input::Whole(uint32_t min, uint32_t max) const {
  const std::string allowed = absl::StrCat(min, " to ", max);
  const std::string* text = Bare("a whole number", allowed);
  if (text == nullptr) return std::nullopt;
  uint64_t value = 0;
  if (!IsWhole(*text)) {
    Fail(absl::StrCat(Quoted(*text), " is not a whole number", Allowed(allowed)));
    return std::nullopt;
  }
  if (!absl::SimpleAtoi(*text, &value) || value < min || value > max) {
    Fail(OutOfRange(*text, allowed));
    return std::nullopt;
  }
  return static_cast<uint32_t>(value);
}

std::optional<uint32_t> Input::Duration(uint32_t min_ms, uint32_t max_ms) const {
  const std::string allowed =
      Between(FormatDuration(min_ms), FormatDuration(max_ms), kDurationExample);
  if (!IsText()) {
    FailType("a duration", allowed);
    return std::nullopt;
  }
  const std::optional<uint64_t> millis = ParseDuration(node_.text);
  if (!millis) {
    Fail(NotA(node_.text, "a duration", allowed));
    return std::nullopt;
  }
  if (*millis < min_ms || *millis > max_ms) {
    Fail(OutOfRange(node_.text, allowed));
    return std::nullopt;
  }
  return static_cast<uint32_t>(*millis);
}

std::optional<uint64_t> Input::Size(uint64_t min, uint64_t max) const {
  const std::string allowed = Between(FormatSize(min), FormatSize(max), kSizeExample);
  if (!IsText()) {
    FailType("a size", allowed);
    return std::nullopt;
  }
  const std::optional<uint64_t> bytes = ParseSize(node_.text);
  if (!bytes) {
    Fail(NotA(node_.text, "a size", allowed));
    return std::nullopt;
  }
  if (*bytes < min || *bytes > max) {
    Fail(OutOfRange(node_.text, allowed));
    return std::nullopt;
  }
  return bytes;
}

std::optional<uint32_t> Input::Cpu(uint32_t min_millis, uint32_t max_millis) const {
  const std::string allowed = Between(FormatCpu(min_millis), FormatCpu(max_millis), kCpuExample);
  if (!IsText()) {
    FailType("a number of processors", allowed);
    return std::nullopt;
  }
  const std::optional<uint64_t> millis = ParseCpu(node_.text);
  if (!millis) {
    Fail(absl::StrCat(Quoted(node_.text), " is not a number of processors", Allowed(allowed)));
    return std::nullopt;
  }
  if (*millis < min_millis || *millis > max_millis) {
    Fail(OutOfRange(node_.text, allowed));
    return std::nullopt;
  }
  return static_cast<uint32_t>(*millis);
}

std::optional<size_t> Input::OneOf(const std::vector<std::string>& choices) const {
  const std::string allowed = absl::StrJoin(choices, ", ");
  if (!IsText()) {
    FailType("a word", allowed);
    return std::nullopt;
  }
  const auto found = std::find(choices.begin(), choices.end(), node_.text);
  if (found != choices.end()) return static_cast<size_t>(found - choices.begin());
  const std::string nearest = Nearest(node_.text, choices);
  Fail(absl::StrCat(Quoted(node_.text), " is not known",
                    nearest.empty() ? "" : absl::StrCat(", did you mean ", nearest, "?"),
                    Allowed(allowed)));
  return std::nullopt;
}

bool Input::ForEachItem(size_t max, absl::FunctionRef<void(const Input& item)> visit) const {
  if (node_.kind != YamlNode::Kind::kList) {
    FailType("a list", "");
    return false;
  }
  if (node_.items.empty() || node_.items.size() > max) {
    Fail(absl::StrCat("has ", node_.items.size(), " items", Allowed(absl::StrCat("1 to ", max))));
    return false;
  }
  for (size_t i = 0; i < node_.items.size(); ++i) {
    const YamlNode& item = *node_.items[i];
    visit(Input(item, absl::StrCat(field_, "[", i, "]"), item.line, mistakes_));
  }
  return true;
}

bool Input::ForEachEntry(
    size_t max, absl::FunctionRef<void(const std::string& key, const Input& value)> visit) const {
  if (node_.kind != YamlNode::Kind::kMap) {
    FailType("a map", "");
    return false;
  }
  if (node_.entries.size() > max) {
    Fail(absl::StrCat("has ", node_.entries.size(), " keys", Allowed(absl::StrCat("up to ", max))));
    return false;
  }
  std::map<std::string_view, int> lines;
  for (const YamlNode::Entry& entry : node_.entries) {
    const int line = entry.key->line;
    if (entry.key->kind != YamlNode::Kind::kText) {
      mistakes_.Add(line, field_, "a key must be a text");
      continue;
    }
    const std::string& key = entry.key->text;
    const auto [first, is_new] = lines.emplace(key, line);
    const Input value(*entry.value, ChildField(key), line, mistakes_);
    if (!is_new) {
      value.Fail(absl::StrCat("is written twice (first on line ", first->second, ")"));
      continue;
    }
    visit(key, value);
  }
  return true;
}

std::string Input::ChildField(std::string_view key) const {
  const std::string name = IsPlainKey(key) ? std::string(key) : Quoted(key);
  return field_.empty() ? name : absl::StrCat(field_, ".", name);
}

}  // namespace pando::controller
