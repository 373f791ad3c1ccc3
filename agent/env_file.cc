#include "agent/env_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/runtime/unique_fd.h"

namespace pando::agent {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;

bool IsName(absl::string_view text) {
  if (text.empty() || absl::ascii_isdigit(static_cast<unsigned char>(text[0]))) return false;
  for (const char c : text) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '_') return false;
  }
  return true;
}

// Walks through the text and knows the line it is in.
class Reader {
 public:
  explicit Reader(absl::string_view text) : text_(text) {}

  bool AtEnd() const { return at_ == text_.size(); }
  char Peek() const { return AtEnd() ? '\n' : text_[at_]; }
  char Take() {
    const char c = Peek();
    if (c == '\n') ++line_;
    if (!AtEnd()) ++at_;
    return c;
  }
  absl::string_view TakeUntil(absl::string_view stops) {
    const size_t end = std::min(text_.find_first_of(stops, at_), text_.size());
    const absl::string_view taken = text_.substr(at_, end - at_);
    at_ = end;
    return taken;
  }
  void SkipBlanks() {
    while (!AtEnd() && (Peek() == ' ' || Peek() == '\t' || Peek() == '\r')) ++at_;
  }
  int line() const { return line_; }

 private:
  absl::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
};

absl::Status Wrong(int line, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("line ", line, ": ", what));
}

char Unescaped(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return c;
  }
}

absl::StatusOr<std::string> TakeQuoted(Reader& reader, int line) {
  const char quote = reader.Take();
  std::string value;
  while (!reader.AtEnd() && reader.Peek() != quote) {
    char c = reader.Take();
    if (c == '\\' && quote == '"' && !reader.AtEnd()) {
      const char escaped = reader.Take();
      // Others keep their backslash, as in a shell.
      if (absl::string_view("nrt\"\\$").find(escaped) == absl::string_view::npos) value += c;
      c = Unescaped(escaped);
    }
    value += c;
  }
  if (reader.AtEnd())
    return Wrong(line, absl::StrCat("a ", std::string(1, quote), " is not closed"));
  reader.Take();
  reader.SkipBlanks();
  if (reader.Peek() != '\n' && reader.Peek() != '#') {
    return Wrong(reader.line(), "more text behind a quoted value");
  }
  return value;
}

std::string TakeBare(Reader& reader) {
  absl::string_view value = reader.TakeUntil("\n");
  for (size_t at = value.find('#'); at != absl::string_view::npos; at = value.find('#', at + 1)) {
    if (at == 0 || value[at - 1] == ' ' || value[at - 1] == '\t') {
      value = value.substr(0, at);
      break;
    }
  }
  return std::string(absl::StripAsciiWhitespace(value));
}

absl::StatusOr<std::string> ReadBounded(const std::string& path) {
  // Not blocking: a FIFO without a writer would hold up the whole node.
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid() && errno == ENOENT) {
    return absl::NotFoundError(absl::StrCat("env_files: no such file: ", path));
  }
  struct stat info = {};
  if (!fd.valid() || fstat(fd.get(), &info) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("env_files: cannot read ", path));
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat("env_files: ", path, " is not a file"));
  }
  std::string text(kMaxFileBytes + 1, '\0');
  size_t used = 0;
  ssize_t size = 0;
  while (used < text.size() && (size = read(fd.get(), &text[used], text.size() - used)) > 0) {
    used += static_cast<size_t>(size);
  }
  if (size < 0) return absl::ErrnoToStatus(errno, absl::StrCat("env_files: cannot read ", path));
  if (used > kMaxFileBytes) {
    return absl::InvalidArgumentError(absl::StrCat("env_files: ", path, " is larger than 1 MiB"));
  }
  text.resize(used);
  return text;
}

}  // namespace

absl::Status ParseEnvFile(absl::string_view text, std::map<std::string, std::string>& into) {
  if (text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);
  Reader reader(text);
  while (!reader.AtEnd()) {
    reader.SkipBlanks();
    const int line = reader.line();
    if (reader.Peek() == '#') reader.TakeUntil("\n");
    if (reader.Peek() == '\n') {
      reader.Take();
      continue;
    }
    absl::string_view name = absl::StripAsciiWhitespace(reader.TakeUntil("=\n"));
    if (reader.Peek() != '=') return Wrong(line, "there is no = (needed: NAME=value)");
    if (name.substr(0, 7) == "export ") name = absl::StripLeadingAsciiWhitespace(name.substr(7));
    if (!IsName(name)) {
      return Wrong(line, absl::StrCat("\"", name, "\" is not the name of a variable"));
    }
    reader.Take();
    reader.SkipBlanks();
    std::string value;
    if (reader.Peek() == '"' || reader.Peek() == '\'') {
      PANDO_ASSIGN_OR_RETURN(value, TakeQuoted(reader, line));
      reader.TakeUntil("\n");
    } else {
      value = TakeBare(reader);
    }
    if (value.find('\0') != std::string::npos) return Wrong(line, "there is a NUL character");
    into[std::string(name)] = std::move(value);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::map<std::string, std::string>> ReadEnvFiles(
    const std::vector<std::string>& paths, const std::string& dir) {
  std::map<std::string, std::string> variables;
  for (const std::string& path : paths) {
    const std::string full = path[0] == '/' ? path : absl::StrCat(dir, dir == "/" ? "" : "/", path);
    PANDO_ASSIGN_OR_RETURN(const std::string text, ReadBounded(full));
    if (absl::Status s = ParseEnvFile(text, variables); !s.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("env_files: ", full, ": ", s.message()));
    }
  }
  return variables;
}

}  // namespace pando::agent
