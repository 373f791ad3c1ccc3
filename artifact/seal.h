// A tree made read-only, and one taken away again.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace pando::artifact {

// Takes every right to write off the files and directories of `dir`, and `dir` itself. Links are
// left alone. Against accidents: a process of root writes all the same.
absl::Status SealTree(const std::string& dir);

// `dir` and all that is in it, sealed or not. OK when there is none. Never follows a link.
absl::Status RemoveTree(const std::string& dir);

// All that is written below `dir` (and more) is on the disk when it returns.
absl::Status SyncTree(const std::string& dir);

}  // namespace pando::artifact
