// A tree's files one after the other, links as what they are.
#pragma once

#include <fts.h>

#include <functional>
#include <string>

#include "absl/status/status.h"

namespace pando::artifact {

// In the order of the file system: a directory before what is in it (FTS_D), and again behind it
// (FTS_DP). Ends with the first error of `visit`. Nobody else may change the tree meanwhile.
absl::Status Walk(const std::string& dir, const std::function<absl::Status(const FTSENT&)>& visit);

// Why an entry could not be read, if so.
absl::Status EntryError(const FTSENT& entry);

}  // namespace pando::artifact
