#include "ctl/import/draft.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace pando::ctl {
namespace {

constexpr size_t kMaxName = 40;
constexpr int64_t kMaxReplicas = 10'000;
constexpr uint64_t kMinMemory = 4 << 20;
constexpr uint64_t kMaxMemory = uint64_t{1} << 44;

bool IsLetterOrDigit(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)); }

// Of letters, digits and dashes, a letter first.
std::string SpecName(std::string_view raw) {
  std::string name;
  for (const char c : raw) {
    if (IsLetterOrDigit(c)) {
      name += absl::ascii_tolower(static_cast<unsigned char>(c));
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  if (name.empty() || !absl::ascii_isalpha(static_cast<unsigned char>(name.front()))) {
    name.insert(0, "app-");
  }
  name.resize(std::min(name.size(), kMaxName));
  while (name.back() == '-') name.pop_back();
  return name;
}

bool IsVariableName(std::string_view name) {
  return !name.empty() && !absl::ascii_isdigit(static_cast<unsigned char>(name.front())) &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return IsLetterOrDigit(c) || c == '_'; });
}

std::string DurationText(int64_t millis) {
  if (millis % 60'000 == 0 && millis > 0) return absl::StrCat(millis / 60'000, "m");
  if (millis % 1'000 == 0) return absl::StrCat(millis / 1'000, "s");
  return absl::StrCat(millis, "ms");
}

std::string BytesText(uint64_t bytes) {
  constexpr const char* kUnits[] = {"Gi", "Mi", "Ki"};
  for (size_t i = 0; i < std::size(kUnits); ++i) {
    const uint64_t unit = uint64_t{1} << (30 - 10 * i);
    if (bytes >= unit && bytes % unit == 0) return absl::StrCat(bytes / unit, kUnits[i]);
  }
  return absl::StrCat(bytes, "B");
}

// The place of "stop.grace" in a spec, made when it is not there.
YAML::Node At(YAML::Node spec, std::string_view key) {
  const size_t dot = key.find('.');
  YAML::Node found = spec[std::string(key.substr(0, dot))];
  return dot == std::string_view::npos ? found : At(found, key.substr(dot + 1));
}

}  // namespace

AppDraft::AppDraft(const std::string& raw_name, int line) {
  app_.name = SpecName(raw_name);
  app_.spec["name"] = app_.name;
  if (app_.name != raw_name) {
    Note(line, absl::StrCat("is called ", app_.name, " here: names are of a-z, 0-9 and -"));
  }
}

void AppDraft::SetCommand(const std::vector<std::string>& words) {
  app_.spec["command"] = words;
  app_.spec["command"].SetStyle(YAML::EmitterStyle::Flow);
}

void AppDraft::SetShellCommand(const std::string& text) {
  app_.spec["command"] = text;
  app_.spec["shell"] = true;
}

void AppDraft::SetDir(const std::string& dir, const std::string& base_dir) {
  std::string path = (std::filesystem::path(base_dir) / dir).lexically_normal().string();
  if (path.size() > 1 && path.back() == '/') path.pop_back();
  if (path != base_dir) app_.spec["dir"] = path;
}

void AppDraft::AddEnv(int line, const std::string& what, const std::string& name,
                      const std::string& value) {
  if (name == "PORT") {
    Note(line,
         absl::StrCat(what, ": ", value,
                      " is left out: each instance is given a port of its own as $PORT; users "
                      "come through the gateway, by default on 8080"));
  } else if (name == "NODE_APP_INSTANCE" || absl::StartsWith(name, "PANDO_")) {
    Note(line, absl::StrCat(what, " is left out: each instance is given its own value"));
  } else if (!IsVariableName(name)) {
    Note(line, absl::StrCat(what, " is left out: names of variables are of A-Z, a-z, 0-9 and _"));
  } else {
    app_.spec["env"][name] = value;
  }
}

void AppDraft::SetReplicas(int line, const std::string& what, int64_t replicas) {
  const int64_t allowed = std::clamp<int64_t>(replicas, 0, kMaxReplicas);
  if (allowed != replicas) {
    Note(line, absl::StrCat(what, ": ", replicas, " is taken as ", allowed));
  }
  app_.spec["replicas"] = allowed;
}

void AppDraft::SetDuration(int line, std::string_view key, int64_t millis, int64_t min,
                           int64_t max) {
  const int64_t allowed = std::clamp(millis, min, max);
  if (allowed != millis) {
    Note(line, absl::StrCat(std::string(key), ": ", DurationText(millis), " is taken as ",
                            DurationText(allowed), ", the nearest that is allowed"));
  }
  At(app_.spec, key) = DurationText(allowed);
}

void AppDraft::SetWhole(int line, std::string_view key, int64_t value, int64_t min, int64_t max) {
  const int64_t allowed = std::clamp(value, min, max);
  if (allowed != value) {
    Note(line, absl::StrCat(std::string(key), ": ", value, " is taken as ", allowed,
                            ", the nearest that is allowed"));
  }
  At(app_.spec, key) = allowed;
}

void AppDraft::SetText(std::string_view key, const std::string& text) { At(app_.spec, key) = text; }

void AppDraft::SetTexts(std::string_view key, const std::vector<std::string>& texts) {
  YAML::Node at = At(app_.spec, key);
  at = texts;
  at.SetStyle(YAML::EmitterStyle::Flow);
}

void AppDraft::SetMemory(int line, std::string_view key, uint64_t bytes) {
  const uint64_t allowed = std::clamp(bytes, kMinMemory, kMaxMemory);
  if (allowed != bytes) {
    Note(line, absl::StrCat(std::string(key), ": ", BytesText(bytes), " is taken as ",
                            BytesText(allowed), ", the nearest that is allowed"));
  }
  At(app_.spec, key) = BytesText(allowed);
}

void Finish(Import& import) {
  std::set<std::string> taken;
  for (ImportedApp& app : import.apps) {
    std::string name = app.name;
    for (int i = 2; !taken.insert(name).second; ++i) {
      const std::string suffix = absl::StrCat("-", i);
      name = app.name.substr(0, kMaxName - suffix.size()) + suffix;
    }
    if (name != app.name) {
      app.notes.push_back({0, absl::StrCat("is called ", name, ": ", app.name, " is taken")});
      app.name = name;
      app.spec["name"] = name;
    }
  }
  // One of them answers to everything, "web" for choice; Pando refuses two that do.
  const auto web = std::find_if(import.apps.begin(), import.apps.end(),
                                [](const ImportedApp& app) { return app.name == "web"; });
  const auto all = web != import.apps.end() ? web : import.apps.begin();
  for (auto it = import.apps.begin(); it != import.apps.end(); ++it) {
    if (it == all) continue;
    const std::string host = absl::StrCat(it->name, ".localhost");
    it->spec["route"]["hosts"].push_back(host);
    it->spec["route"]["hosts"].SetStyle(YAML::EmitterStyle::Flow);
    it->notes.push_back({0, absl::StrCat("is reached as host ", host, ", since ", all->name,
                                         " answers to all others: put in the host you want")});
  }
}

absl::Status ImportError(const ImportSource& source, int line, std::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat(
      source.filename, ":", line > 0 ? absl::StrCat(line, ":") : "", " ", std::string(text)));
}

absl::StatusOr<Import> OnYamlOf(
    const ImportSource& source,
    absl::FunctionRef<absl::StatusOr<Import>(const YAML::Node& root)> read) {
  try {
    return read(YAML::Load(source.text));
  } catch (const YAML::Exception& error) {
    return ImportError(source, error.mark.line + 1, error.msg);
  }
}

std::optional<uint64_t> ParseBytes(std::string_view text) {
  const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  double number = 0;
  if (digits == 0 || !absl::SimpleAtod(std::string(text.substr(0, digits)), &number)) {
    return std::nullopt;
  }
  std::string unit = absl::AsciiStrToLower(std::string(text.substr(digits)));
  if (unit.size() > 1 && unit.back() == 'b') unit.pop_back();
  constexpr std::string_view kUnits = "bkmgt";
  const size_t power = unit.empty() ? 0 : kUnits.find(unit[0]);
  if (unit.size() > 1 || power == std::string_view::npos) return std::nullopt;
  const double bytes = number * static_cast<double>(uint64_t{1} << (10 * power));
  return bytes < 1e18 ? std::optional(static_cast<uint64_t>(bytes)) : std::nullopt;
}

std::string ToYaml(const Import& import, const std::string& filename) {
  const auto comment = [](const std::vector<ImportNote>& notes) {
    std::string text;
    for (const ImportNote& note : notes) {
      absl::StrAppend(&text, "# note", note.line > 0 ? absl::StrCat(" (line ", note.line, ")") : "",
                      ": ", absl::StrJoin(absl::StrSplit(note.text, '\n'), " "), "\n");
    }
    return text;
  };
  std::string text = absl::StrCat("# From ", filename,
                                  ". Without `dir` an app runs in the directory of this file.\n",
                                  comment(import.notes));
  bool first = true;
  for (const ImportedApp& app : import.apps) {
    YAML::Emitter out;
    out << app.spec;
    absl::StrAppend(&text, std::exchange(first, false) ? "" : "---\n", comment(app.notes),
                    out.c_str(), "\n");
  }
  return text;
}

}  // namespace pando::ctl
