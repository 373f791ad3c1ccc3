// A directory packed for the controller, in a temporary file that nobody has to delete.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "artifact/pack.h"
#include "common/runtime/unique_fd.h"
#include "ctl/command.h"

namespace pando::ctl {

struct PackedDir {
  artifact::Packed packed;
  UniqueFd file;  // has no name any more

  // Of the file, for as long as this lives.
  std::string Path() const;
};

// Shows on stderr how it goes. The file is in TMPDIR, or else in /var/tmp: it may be large.
absl::StatusOr<PackedDir> PackForUpload(Context& context, const std::string& dir);

// Gives the controller what it does not have yet; shows how that goes. Returns how many bytes had
// to be sent.
absl::StatusOr<uint64_t> Upload(Context& context, const std::string& dir, const PackedDir& packed);

}  // namespace pando::ctl
