#include "artifact/seal.h"

#include <fcntl.h>
#include <fts.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/runtime/unique_fd.h"

namespace pando::artifact {
namespace {

constexpr mode_t kWriteBits = S_IWUSR | S_IWGRP | S_IWOTH;

// In the order of the file system: a directory before what is in it, and again behind it.
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

}  // namespace

absl::Status SealTree(const std::string& dir) {
  return Walk(dir, [](const FTSENT& entry) {
    switch (entry.fts_info) {
      case FTS_DNR:
      case FTS_ERR:
      case FTS_NS:
        return absl::ErrnoToStatus(entry.fts_errno, entry.fts_path);
      case FTS_D:  // comes again, when all in it is done
      case FTS_SL:
      case FTS_SLNONE:
        return absl::OkStatus();
      default:
        break;
    }
    const mode_t mode = entry.fts_statp->st_mode & 0777 & ~kWriteBits;
    if (chmod(entry.fts_path, mode) != 0) return absl::ErrnoToStatus(errno, entry.fts_path);
    return absl::OkStatus();
  });
}

absl::Status RemoveTree(const std::string& dir) {
  struct stat info {};
  if (lstat(dir.c_str(), &info) != 0) {
    return errno == ENOENT ? absl::OkStatus() : absl::ErrnoToStatus(errno, dir);
  }
  return Walk(dir, [](const FTSENT& entry) {
    switch (entry.fts_info) {
      case FTS_DNR:
      case FTS_ERR:
        return absl::ErrnoToStatus(entry.fts_errno, entry.fts_path);
      case FTS_D:
        chmod(entry.fts_path, 0700);  // if that fails, so does what follows, and says so
        return absl::OkStatus();
      case FTS_DP:
        if (rmdir(entry.fts_path) != 0) return absl::ErrnoToStatus(errno, entry.fts_path);
        return absl::OkStatus();
      default:
        if (unlink(entry.fts_path) != 0) return absl::ErrnoToStatus(errno, entry.fts_path);
        return absl::OkStatus();
    }
  });
}

absl::Status SyncTree(const std::string& dir) {
  const UniqueFd fd(open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || syncfs(fd.get()) != 0) return absl::ErrnoToStatus(errno, dir);
  return absl::OkStatus();
}

}  // namespace pando::artifact
