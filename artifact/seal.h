// A tree made read-only, and one taken away again.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace pando::artifact {

// Takes every right to write off the files and directories of `dir`, and `dir` itself. Links are
// left alone. Against accidents: a process of root writes all the same.
absl::Status SealTree(const std::string& dir);

// `dir` and all that is in it, sealed or not. OK when there is none. Never follows a link, whatever
// processes of another user do in it meanwhile.
absl::Status RemoveTree(const std::string& dir);

// Of the contents of all files in it.
absl::StatusOr<uint64_t> TreeBytes(const std::string& dir);

// All that is written below `dir` (and more) is on the disk when it returns.
absl::Status SyncTree(const std::string& dir);

}  // namespace pando::artifact
