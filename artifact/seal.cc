#include "artifact/seal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "artifact/walk.h"
#include "common/runtime/unique_fd.h"

namespace pando::artifact {
namespace {

constexpr mode_t kWriteBits = S_IWUSR | S_IWGRP | S_IWOTH;

}  // namespace

absl::Status SealTree(const std::string& dir) {
  return Walk(dir, [](const FTSENT& entry) {
    if (absl::Status status = EntryError(entry); !status.ok()) return status;
    switch (entry.fts_info) {
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
  // A sealed directory lets nobody but root take anything out of it.
  if (geteuid() != 0) {
    const absl::Status opened = Walk(dir, [](const FTSENT& entry) {
      // If that fails, so does what follows, and says so.
      if (entry.fts_info == FTS_D) chmod(entry.fts_path, 0700);
      return absl::OkStatus();
    });
    if (!opened.ok()) return opened;
  }
  // From descriptor to descriptor: another user's processes may move things about in it.
  std::error_code error;
  std::filesystem::remove_all(dir, error);
  return error ? absl::ErrnoToStatus(error.value(), dir) : absl::OkStatus();
}

absl::StatusOr<uint64_t> TreeBytes(const std::string& dir) {
  uint64_t bytes = 0;
  const absl::Status walked = Walk(dir, [&bytes](const FTSENT& entry) {
    if (entry.fts_info == FTS_F) bytes += static_cast<uint64_t>(entry.fts_statp->st_size);
    return EntryError(entry);
  });
  if (!walked.ok()) return walked;
  return bytes;
}

absl::Status SyncTree(const std::string& dir) {
  const UniqueFd fd(open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || syncfs(fd.get()) != 0) return absl::ErrnoToStatus(errno, dir);
  return absl::OkStatus();
}

}  // namespace pando::artifact
