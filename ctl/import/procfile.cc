// Procfile: "web: node server.js", one process type a line.
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "ctl/import/draft.h"
#include "ctl/import/import.h"

namespace pando::ctl {
namespace {

bool IsTypeName(std::string_view name) {
  return !name.empty() && name.find_first_not_of(
                              "abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == std::string_view::npos;
}

}  // namespace

absl::StatusOr<Import> ImportProcfile(const ImportSource& source) {
  Import import;
  std::set<std::string> seen;
  int line = 0;
  for (absl::string_view text : absl::StrSplit(source.text, '\n')) {
    ++line;
    text = absl::StripAsciiWhitespace(text);
    if (text.empty() || absl::StartsWith(text, "#")) continue;
    const size_t colon = text.find(':');
    const std::string type(text.substr(0, colon));
    if (colon == absl::string_view::npos || !IsTypeName(type)) {
      return ImportError(source, line,
                         absl::StrCat("\"", text,
                                      "\" is not a process type (allowed: NAME: COMMAND, "
                                      "NAME being of letters, digits, _ and -)"));
    }
    const std::string command(absl::StripAsciiWhitespace(text.substr(colon + 1)));
    if (command.empty()) return ImportError(source, line, absl::StrCat(type, " has no command"));
    if (!seen.insert(type).second) {
      return ImportError(source, line, absl::StrCat(type, " is there twice"));
    }
    if (type == "release") {
      import.notes.push_back({line,
                              "release is left out: it is run once per release, not kept "
                              "running; run it before ctl apply"});
      continue;
    }
    AppDraft app(type, line);
    app.SetShellCommand(command);
    if (type != "web") {
      app.SetTexts("health.command", {"true"});
      app.Note(
          line,
          "need not listen on a port, so it is ready when it runs; if it has a better sign, put "
          "that into health");
    }
    import.apps.push_back(std::move(app).Take());
  }
  if (import.apps.empty()) return ImportError(source, 0, "has no process that is kept running");
  Finish(import);
  return import;
}

}  // namespace pando::ctl
