// Reading and writing the files of control groups.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace pando::agent {

// As one write, into a file that exists. The error names the file.
absl::Status WriteCgroupFile(const std::string& dir, absl::string_view file,
                             absl::string_view text);
// The number in the file, or the one after `key` at a line's start; 0 when there is none.
uint64_t ReadCgroupNumber(const std::string& dir, absl::string_view file);
uint64_t ReadCgroupNumber(const std::string& dir, absl::string_view file, const std::string& key);
bool HasCgroupFile(const std::string& dir, absl::string_view file);
// The directory and those above it that are missing.
absl::Status MakeCgroupDirs(const std::string& path);

}  // namespace pando::agent
