#include "artifact/ownership.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "artifact/walk.h"

namespace pando::artifact {
namespace {

// From the top down: a directory that is ours already does not change under our hands, and neither
// does any path that leads through such directories only.
class Taker {
 public:
  Taker(uid_t uid, gid_t gid) : uid_(uid), gid_(gid) {}

  absl::Status Run(const std::string& dir) {
    Take(AT_FDCWD, dir.c_str(), dir);
    while (!directories_.empty()) {
      const std::string path = std::move(directories_.back());
      directories_.pop_back();
      TakeEntries(path);
    }
    return first_error_;
  }

 private:
  // What is called `name` in a directory that is ours.
  void Take(int parent, const char* name, const std::string& path) {
    struct stat info {};
    if (fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
      return Note(absl::ErrnoToStatus(errno, path));
    }
    if (info.st_uid != uid_) {
      return Note(absl::InvalidArgumentError(absl::StrCat(path, " belongs to another user")));
    }
    // Before the mode: an owner could set that, too.
    if (fchownat(parent, name, geteuid(), gid_, AT_SYMLINK_NOFOLLOW) != 0) {
      return Note(absl::ErrnoToStatus(errno, path));
    }
    if (S_ISLNK(info.st_mode)) return;
    const mode_t mode = (info.st_mode & 0755) | ((info.st_mode & 0500) >> 3);
    if (fchmodat(parent, name, mode, 0) != 0) return Note(absl::ErrnoToStatus(errno, path));
    if (S_ISDIR(info.st_mode)) directories_.push_back(path);
  }

  void TakeEntries(const std::string& path) {
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(path.c_str()), closedir);
    if (dir == nullptr) return Note(absl::ErrnoToStatus(errno, path));
    errno = 0;
    while (const dirent* const entry = readdir(dir.get())) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") {
        Take(dirfd(dir.get()), entry->d_name, absl::StrCat(path, "/", entry->d_name));
      }
      errno = 0;
    }
    if (errno != 0) Note(absl::ErrnoToStatus(errno, path));
  }

  void Note(absl::Status error) { first_error_.Update(std::move(error)); }

  const uid_t uid_;
  const gid_t gid_;
  std::vector<std::string> directories_;  // ours, but not what is in them
  absl::Status first_error_;
};

}  // namespace

absl::Status GiveTree(const std::string& dir, uid_t uid, gid_t gid) {
  return Walk(dir, [uid, gid](const FTSENT& entry) {
    if (absl::Status status = EntryError(entry); !status.ok()) return status;
    // `dir` itself is the last: until then nobody else can get at what is in it.
    if (entry.fts_info == FTS_D) return absl::OkStatus();
    if (lchown(entry.fts_path, uid, gid) != 0) return absl::ErrnoToStatus(errno, entry.fts_path);
    return absl::OkStatus();
  });
}

absl::Status TakeTree(const std::string& dir, uid_t uid, gid_t gid) {
  if (access(dir.c_str(), F_OK) != 0 && errno == ENOENT) return absl::OkStatus();
  return Taker(uid, gid).Run(dir);
}

}  // namespace pando::artifact
