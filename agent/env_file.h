// Files of environment variables, as dotenv files are written:
//
//   # a comment
//   NAME=text                  the text ends before " #", blanks around it are cut
//   export NAME="a \"b\"\n"    \n \r \t \" \\ \$ mean what they do in a shell; may span lines
//   NAME='as it is'            may span lines
//
// Nothing is expanded.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace pando::agent {

// Adds the variables of `text` to `into`; a later one wins. The error names the line.
absl::Status ParseEnvFile(absl::string_view text, std::map<std::string, std::string>& into);

// The same of files, in their order, each relative to `dir`. The error names the file.
absl::StatusOr<std::map<std::string, std::string>> ReadEnvFiles(
    const std::vector<std::string>& paths, const std::string& dir);

}  // namespace pando::agent
