#include "artifact/walk.h"

#include <cerrno>
#include <memory>

namespace pando::artifact {

absl::Status Walk(const std::string& dir, const std::function<absl::Status(const FTSENT&)>& visit) {
  std::string root = dir;
  char* const roots[] = {root.data(), nullptr};
  const std::unique_ptr<FTS, int (*)(FTS*)> walk(
      fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, nullptr), fts_close);
  if (walk == nullptr) return absl::ErrnoToStatus(errno, dir);
  errno = 0;
  while (const FTSENT* entry = fts_read(walk.get())) {
    if (absl::Status status = visit(*entry); !status.ok()) return status;
    errno = 0;
  }
  return errno == 0 ? absl::OkStatus() : absl::ErrnoToStatus(errno, dir);
}

absl::Status EntryError(const FTSENT& entry) {
  switch (entry.fts_info) {
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
      return absl::ErrnoToStatus(entry.fts_errno, entry.fts_path);
    default:
      return absl::OkStatus();
  }
}

}  // namespace pando::artifact
