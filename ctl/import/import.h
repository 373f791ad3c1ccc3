// From what others start processes with to Pando's spec: a PM2 ecosystem file, a Procfile or a
// compose file becomes apps as YAML that `ctl apply` takes, with a note for each thing that has no
// counterpart or a changed meaning.
//
// Pure. Errors are kInvalidArgument and name file and line: "Procfile:3: ...".
#pragma once

#include <yaml-cpp/yaml.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace pando::ctl {

struct ImportSource {
  std::string filename;  // for messages
  std::string dir;       // absolute: where the file is
  std::string text;
};

struct ImportNote {
  int line = 0;  // 0: of no certain line
  std::string text;

  bool operator==(const ImportNote&) const = default;
};

struct ImportedApp {
  std::string name;
  YAML::Node spec;  // the document, in the order it is written
  std::vector<ImportNote> notes;
};

struct Import {
  std::vector<ImportedApp> apps;
  std::vector<ImportNote> notes;  // of no app, or of one that is left out
};

// A variable's value at the one who imports.
using Variables = std::function<std::optional<std::string>(const std::string& name)>;

absl::StatusOr<Import> ImportProcfile(const ImportSource& source);
// `variables` are for ${NAME} in the file.
absl::StatusOr<Import> ImportCompose(const ImportSource& source, const Variables& variables);
// `source.text` is JSON or YAML: what a file of JavaScript exports. `environment` chooses
// env_<environment>; empty: none.
absl::StatusOr<Import> ImportPm2(const ImportSource& source, const std::string& environment);

// The apps as a file, notes being comments.
std::string ToYaml(const Import& import, const std::string& filename);

}  // namespace pando::ctl
