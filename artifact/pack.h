// A directory made into one file: tar, compressed with zstd. The same tree gives the same bytes,
// wherever and whenever it is packed (by the same libzstd): entries are sorted, times and owners
// are left out, modes are 0755 or 0644.
//
// Left out: .git, and what the ignore files say: .pandoignore, or .gitignore where the directory
// has no .pandoignore at its top. Each directory may have one of its own.
#pragma once

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"

namespace pando::artifact {

struct Packed {
  std::string digest;
  uint64_t packed_bytes = 0;
  uint64_t bytes = 0;  // of the files' contents
  uint32_t entries = 0;
};

// Called now and then while packing; false stops it (kCancelled).
using PackProgress = absl::FunctionRef<bool(const Packed& so_far)>;

// Writes to `out_path`, which is replaced. Memory does not grow with the tree. kInvalidArgument
// names a file that cannot be packed (a link that leads out, a socket) and what to do.
absl::StatusOr<Packed> PackDirectory(const std::string& dir, const std::string& out_path,
                                     PackProgress progress);

}  // namespace pando::artifact
