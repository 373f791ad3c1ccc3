// A packed directory made a directory again. The archive is not trusted: whatever it holds, nothing
// is written outside of the directory, and not more than the limits say.
#pragma once

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace pando::artifact {

struct UnpackLimits {
  uint64_t bytes = uint64_t{16} << 30;  // of the files' contents
  uint64_t entries = 1'000'000;  // directories that no entry names, but one is below, included
};

// `dir` exists and is empty; it is only half filled after an error. Files are 0644 or 0755, of this
// process's user. Only files, directories and links that stay inside are taken: an absolute path, a
// "..", a link that leads out, a hard link, a device, a set-user-id bit or a name that comes twice
// is kInvalidArgument, which names the entry. kResourceExhausted: too large, or no room on the
// disk. `stop` is asked now and then: kCancelled.
absl::Status Unpack(const std::string& archive_path, const std::string& dir,
                    const UnpackLimits& limits, absl::FunctionRef<bool()> stop);

}  // namespace pando::artifact
