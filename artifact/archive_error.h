// libarchive's errors as ours.
#pragma once

#include <archive.h>

#include <cerrno>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace pando::artifact {

// "what: why"; kResourceExhausted when the disk is full.
inline absl::Status ArchiveError(struct archive* from, const std::string& what) {
  const char* const why = archive_error_string(from);
  const std::string message = absl::StrCat(what, ": ", why != nullptr ? why : "unknown error");
  const int error = archive_errno(from);
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
    return absl::ResourceExhaustedError(message);
  }
  return absl::InvalidArgumentError(message);
}

}  // namespace pando::artifact
