#include "artifact/pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "artifact/archive_error.h"
#include "artifact/core/entry_rules.h"
#include "artifact/core/ignore_rules.h"
#include "artifact/sha256.h"
#include "common/base/status_macros.h"
#include "common/runtime/data_dir.h"
#include "common/runtime/unique_fd.h"

namespace pando::artifact {
namespace {

constexpr char kOwnIgnoreFile[] = ".pandoignore";
constexpr char kGitIgnoreFile[] = ".gitignore";
constexpr size_t kPiece = 256 << 10;
constexpr size_t kMaxDepth = 200;

std::string Join(const std::string& dir, const std::string& name) {
  return dir.empty() ? name : absl::StrCat(dir, "/", name);
}

absl::Status FileError(const std::string& path, int error) {
  return absl::ErrnoToStatus(error, path);
}

absl::Status CannotPack(const std::string& path, const std::string& why) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, " ", why, " (leave it out by a line in .pandoignore)"));
}

// Where libarchive's bytes go: to the file and into the digest.
class Output {
 public:
  static absl::StatusOr<std::unique_ptr<Output>> Open(const std::string& path) {
    auto output = std::make_unique<Output>();
    output->fd_.reset(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!output->fd_.valid()) return FileError(path, errno);
    return output;
  }

  static la_ssize_t Write(struct archive* archive, void* self, const void* bytes, size_t size) {
    auto* const output = static_cast<Output*>(self);
    for (size_t done = 0; done < size;) {
      const ssize_t written =
          write(output->fd_.get(), static_cast<const char*>(bytes) + done, size - done);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) {
        archive_set_error(archive, errno, "%s",
                          absl::ErrnoToStatus(errno, "write").ToString().c_str());
        return -1;
      }
      done += static_cast<size_t>(written);
    }
    output->hash_.Update({static_cast<const char*>(bytes), size});
    output->bytes_ += size;
    return static_cast<la_ssize_t>(size);
  }

  uint64_t bytes() const { return bytes_; }
  std::string FinishDigest() { return hash_.Finish(); }

 private:
  UniqueFd fd_;
  Sha256 hash_;
  uint64_t bytes_ = 0;
};

class Packer {
 public:
  Packer(std::string root, PackProgress progress)
      : root_(std::move(root)),
        progress_(progress),
        archive_(archive_write_new(), archive_write_free),
        entry_(archive_entry_new(), archive_entry_free),
        piece_(kPiece) {}

  absl::StatusOr<Packed> Pack(const std::string& out_path) {
    PANDO_ASSIGN_OR_RETURN(output_, Output::Open(out_path));
    // GNU's tar: names are bytes in it, whatever the locale; pax would turn them into UTF-8.
    archive_write_set_format_gnutar(archive_.get());
    archive_write_add_filter_zstd(archive_.get());
    archive_write_set_options(archive_.get(), "zstd:compression-level=3");
    archive_write_set_bytes_in_last_block(archive_.get(), 1);
    if (archive_write_open(archive_.get(), output_.get(), nullptr, Output::Write, nullptr) !=
        ARCHIVE_OK) {
      return ArchiveError(archive_.get(), out_path);
    }
    struct stat info {};
    own_ignore_files_ = lstat(Join(root_, kOwnIgnoreFile).c_str(), &info) == 0;
    PANDO_RETURN_IF_ERROR(AddDirectory(""));
    if (archive_write_close(archive_.get()) != ARCHIVE_OK) {
      return ArchiveError(archive_.get(), out_path);
    }
    packed_.packed_bytes = output_->bytes();
    packed_.digest = output_->FinishDigest();
    return packed_;
  }

 private:
  // Rules of a directory on the way down, for paths below `dir`.
  struct Level {
    std::string dir;
    IgnoreRules rules;
  };

  absl::Status AddDirectory(const std::string& path) {
    if (levels_.size() >= kMaxDepth) return CannotPack(path, "is nested too deeply");
    PANDO_ASSIGN_OR_RETURN(const std::vector<std::string> names, SortedNames(path));
    PANDO_RETURN_IF_ERROR(PushRules(path));
    for (const std::string& name : names) {
      PANDO_RETURN_IF_ERROR(AddPath(Join(path, name), name));
    }
    levels_.pop_back();
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::string>> SortedNames(const std::string& path) {
    const std::string full = path.empty() ? root_ : Join(root_, path);
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(full.c_str()), closedir);
    if (dir == nullptr) return FileError(full, errno);
    std::vector<std::string> names;
    while (const dirent* entry = readdir(dir.get())) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  absl::Status PushRules(const std::string& path) {
    const std::string file =
        Join(Join(root_, path), own_ignore_files_ ? kOwnIgnoreFile : kGitIgnoreFile);
    auto text = ReadFile(file);
    if (!text.ok() && !absl::IsNotFound(text.status())) return text.status();
    levels_.push_back({path, IgnoreRules(text.ok() ? *text : "")});
    return absl::OkStatus();
  }

  bool Ignored(const std::string& path, const std::string& name, bool is_directory) const {
    if (name == ".git") return true;
    // The rules nearest to the file have the last word.
    for (auto level = levels_.rbegin(); level != levels_.rend(); ++level) {
      const std::string_view below =
          std::string_view(path).substr(level->dir.empty() ? 0 : level->dir.size() + 1);
      if (const auto ignored = level->rules.Ignores(below, is_directory)) return *ignored;
    }
    return false;
  }

  absl::Status AddPath(const std::string& path, const std::string& name) {
    const std::string full = Join(root_, path);
    struct stat info {};
    if (lstat(full.c_str(), &info) != 0) return FileError(full, errno);
    const bool is_directory = S_ISDIR(info.st_mode);
    if (Ignored(path, name, is_directory)) return absl::OkStatus();
    if (const std::string why = WhyBadPath(path); !why.empty()) return CannotPack(path, why);
    if (!progress_(packed_)) return absl::CancelledError("packing was stopped");
    ++packed_.entries;
    if (is_directory) {
      PANDO_RETURN_IF_ERROR(WriteHeader(path, AE_IFDIR, 0755, 0, ""));
      return AddDirectory(path);
    }
    if (S_ISLNK(info.st_mode)) return AddLink(path, full);
    if (S_ISREG(info.st_mode)) return AddFile(path, full);
    return CannotPack(path, "is neither a file nor a directory nor a link");
  }

  absl::Status AddLink(const std::string& path, const std::string& full) {
    std::string target(kMaxPathBytes + 1, '\0');
    const ssize_t size = readlink(full.c_str(), target.data(), target.size());
    if (size < 0) return FileError(full, errno);
    target.resize(static_cast<size_t>(size));
    if (const std::string why = WhyBadLink(path, target); !why.empty()) {
      return CannotPack(absl::StrCat(path, " -> ", target), why);
    }
    return WriteHeader(path, AE_IFLNK, 0777, 0, target);
  }

  absl::Status AddFile(const std::string& path, const std::string& full) {
    const UniqueFd fd(open(full.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    struct stat info {};
    if (!fd.valid() || fstat(fd.get(), &info) != 0) return FileError(full, errno);
    const auto size = static_cast<uint64_t>(info.st_size);
    PANDO_RETURN_IF_ERROR(
        WriteHeader(path, AE_IFREG, (info.st_mode & S_IXUSR) != 0 ? 0755 : 0644, size, ""));
    for (uint64_t left = size; left > 0;) {
      const ssize_t got = read(fd.get(), piece_.data(), std::min<uint64_t>(left, piece_.size()));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return FileError(full, errno);
      if (got == 0) {
        return absl::AbortedError(absl::StrCat(path, " became shorter while it was packed"));
      }
      if (archive_write_data(archive_.get(), piece_.data(), static_cast<size_t>(got)) != got) {
        return ArchiveError(archive_.get(), path);
      }
      left -= static_cast<uint64_t>(got);
      packed_.bytes += static_cast<uint64_t>(got);
      packed_.packed_bytes = output_->bytes();
      if (!progress_(packed_)) return absl::CancelledError("packing was stopped");
    }
    return absl::OkStatus();
  }

  absl::Status WriteHeader(const std::string& path, unsigned type, unsigned mode, uint64_t size,
                           const std::string& link) {
    archive_entry* const entry = archive_entry_clear(entry_.get());
    archive_entry_set_pathname(entry, path.c_str());
    archive_entry_set_filetype(entry, type);
    archive_entry_set_perm(entry, static_cast<mode_t>(mode));
    archive_entry_set_size(entry, static_cast<la_int64_t>(size));
    archive_entry_set_mtime(entry, 0, 0);
    archive_entry_set_uid(entry, 0);
    archive_entry_set_gid(entry, 0);
    if (!link.empty()) archive_entry_set_symlink(entry, link.c_str());
    if (archive_write_header(archive_.get(), entry) != ARCHIVE_OK) {
      return ArchiveError(archive_.get(), path);
    }
    return absl::OkStatus();
  }

  const std::string root_;
  PackProgress progress_;
  std::unique_ptr<Output> output_;  // before the archive, which writes to it until its own end
  std::unique_ptr<struct archive, int (*)(struct archive*)> archive_;
  std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry_;
  std::vector<char> piece_;
  bool own_ignore_files_ = false;
  std::vector<Level> levels_;
  Packed packed_;
};

}  // namespace

absl::StatusOr<Packed> PackDirectory(const std::string& dir, const std::string& out_path,
                                     PackProgress progress) {
  struct stat info {};
  if (stat(dir.c_str(), &info) != 0) return FileError(dir, errno);
  if (!S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(dir, " is not a directory"));
  }
  return Packer(dir, progress).Pack(out_path);
}

}  // namespace pando::artifact
