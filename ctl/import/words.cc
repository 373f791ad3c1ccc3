#include "ctl/import/words.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"

namespace pando::ctl {
namespace {

bool IsWordChar(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// Where the "}" is that belongs to a "${" right before `begin`.
size_t FindClosing(std::string_view text, size_t begin) {
  int depth = 1;
  for (size_t i = begin; i < text.size(); ++i) {
    if (text[i] == '}' && --depth == 0) return i;
    if (text[i] == '$' && i + 1 < text.size() && text[i + 1] == '{') ++depth;
  }
  return std::string_view::npos;
}

// "NAME:-default" without the braces.
absl::StatusOr<std::string> Expand(std::string_view inside, const Variables& variables,
                                   std::vector<std::string>& missing) {
  size_t end = 0;
  while (end < inside.size() && IsWordChar(inside[end])) ++end;
  const std::string name(inside.substr(0, end));
  std::string_view rest = inside.substr(end);
  std::optional<std::string> value = variables(name);
  if (rest.starts_with(':')) {
    if (value && value->empty()) value.reset();
    rest.remove_prefix(1);
  }
  if (name.empty() || (rest.empty() && end != inside.size())) {
    return absl::InvalidArgumentError(absl::StrCat("\"${", std::string(inside),
                                                   "}\" is not a variable (allowed: ${NAME}, "
                                                   "${NAME:-default}; $$ is a $)"));
  }
  if (rest.empty()) {
    if (!value) missing.push_back(name);
    return value.value_or("");
  }
  const std::string_view other = rest.substr(1);
  switch (rest[0]) {
    case '-':
      if (value) return *value;
      return Interpolate(other, variables, missing);
    case '+':
      if (!value) return std::string();
      return Interpolate(other, variables, missing);
    case '?':
      if (value) return *value;
      return absl::InvalidArgumentError(absl::StrCat(name, " has no value: ", std::string(other)));
    default:
      return absl::InvalidArgumentError(absl::StrCat("\"${", std::string(inside),
                                                     "}\" is not a variable (allowed: ${NAME}, "
                                                     "${NAME:-default}; $$ is a $)"));
  }
}

}  // namespace

absl::StatusOr<std::vector<std::string>> SplitWords(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote == '\'' && c != '\'') {
      word += c;
    } else if (c == quote && quote != 0) {
      quote = 0;
    } else if (c == '\\' && i + 1 < text.size()) {
      // Between double quotes only these are meant.
      const char next = text[++i];
      if (quote == '"' && next != '"' && next != '\\' && next != '$' && next != '`') word += c;
      word += next;
      in_word = true;
    } else if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
      in_word = true;
    } else if (quote == 0 && absl::ascii_isspace(static_cast<unsigned char>(c))) {
      if (in_word) words.push_back(std::move(word));
      word.clear();
      in_word = false;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (quote != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", std::string(text), "\" has a ", std::string(1, quote), " too few"));
  }
  if (in_word) words.push_back(std::move(word));
  return words;
}

absl::StatusOr<std::string> Interpolate(std::string_view text, const Variables& variables,
                                        std::vector<std::string>& missing) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 == text.size()) {
      out += text[i];
    } else if (text[i + 1] == '$') {
      out += '$';
      ++i;
    } else if (text[i + 1] == '{') {
      const size_t end = FindClosing(text, i + 2);
      if (end == std::string_view::npos) {
        return absl::InvalidArgumentError(
            absl::StrCat("\"", std::string(text), "\" has a } too few"));
      }
      PANDO_ASSIGN_OR_RETURN(const std::string value,
                             Expand(text.substr(i + 2, end - i - 2), variables, missing));
      out += value;
      i = end;
    } else if (absl::ascii_isalpha(static_cast<unsigned char>(text[i + 1])) || text[i + 1] == '_') {
      size_t end = i + 1;
      while (end < text.size() && IsWordChar(text[end])) ++end;
      PANDO_ASSIGN_OR_RETURN(const std::string value,
                             Expand(text.substr(i + 1, end - i - 1), variables, missing));
      out += value;
      i = end - 1;
    } else {
      out += '$';
    }
  }
  return out;
}

std::map<std::string, std::string> ParseEnvFile(std::string_view text) {
  std::map<std::string, std::string> variables;
  for (absl::string_view line : absl::StrSplit(absl::string_view(text.data(), text.size()), '\n')) {
    line = absl::StripAsciiWhitespace(line);
    absl::ConsumePrefix(&line, "export ");
    const size_t equals = line.find('=');
    if (line.empty() || line[0] == '#' || equals == absl::string_view::npos) continue;
    absl::string_view value = absl::StripAsciiWhitespace(line.substr(equals + 1));
    const bool quoted = value.size() >= 2 && (value[0] == '"' || value[0] == '\'') &&
                        value[0] == value[value.size() - 1];
    if (quoted) value = value.substr(1, value.size() - 2);
    variables[std::string(absl::StripAsciiWhitespace(line.substr(0, equals)))] = std::string(value);
  }
  return variables;
}

}  // namespace pando::ctl
