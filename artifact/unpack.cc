#include "artifact/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "artifact/archive_error.h"
#include "artifact/core/entry_rules.h"
#include "common/base/status_macros.h"

namespace pando::artifact {
namespace {

constexpr size_t kPiece = 256 << 10;
constexpr mode_t kSpecialBits = S_ISUID | S_ISGID | S_ISVTX;

absl::Status Refuse(const std::string& path, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat("entry ", path, " ", why));
}

class Unpacker {
 public:
  // `root` has no symbolic link in it.
  Unpacker(std::string root, const UnpackLimits& limits, absl::FunctionRef<bool()> stop)
      : root_(std::move(root)),
        limits_(limits),
        stop_(stop),
        in_(archive_read_new(), archive_read_free),
        out_(archive_write_disk_new(), archive_write_free),
        piece_(kPiece) {}

  absl::Status Run(const std::string& archive_path) {
    archive_read_support_format_tar(in_.get());
    archive_read_support_filter_zstd(in_.get());
    // Our own checks come first; these hold should one of them be wrong. Absolute paths are the one
    // thing it cannot forbid, as we give it some.
    archive_write_disk_set_options(out_.get(), ARCHIVE_EXTRACT_SECURE_SYMLINKS |
                                                   ARCHIVE_EXTRACT_SECURE_NODOTDOT |
                                                   ARCHIVE_EXTRACT_PERM);
    if (archive_read_open_filename(in_.get(), archive_path.c_str(), kPiece) != ARCHIVE_OK) {
      return ArchiveError(in_.get(), "not a packed directory");
    }
    for (;;) {
      if (stop_()) return absl::CancelledError("stopped");
      archive_entry* entry = nullptr;
      const int result = archive_read_next_header(in_.get(), &entry);
      if (result == ARCHIVE_EOF) break;
      if (result != ARCHIVE_OK) return ArchiveError(in_.get(), "not a packed directory");
      PANDO_RETURN_IF_ERROR(Take(entry));
    }
    if (archive_write_close(out_.get()) != ARCHIVE_OK) return ArchiveError(out_.get(), "unpack");
    return absl::OkStatus();
  }

 private:
  absl::Status Take(archive_entry* entry) {
    const char* const name = archive_entry_pathname(entry);
    const std::string path(TrimPath(name != nullptr ? name : ""));
    const auto type = archive_entry_filetype(entry);
    if (path.empty() && type == AE_IFDIR) return absl::OkStatus();  // the directory itself
    if (const std::string why = WhyBadPath(path); !why.empty()) {
      return Refuse(name != nullptr ? name : "", why);
    }
    entries_ += 1 + MissingParents(path);
    if (entries_ > limits_.entries) {
      return absl::ResourceExhaustedError(
          absl::StrCat("more than ", limits_.entries, " entries in it"));
    }
    if (archive_entry_hardlink(entry) != nullptr) return Refuse(path, "is a hard link");
    if (type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK) {
      return Refuse(path, "is neither a file nor a directory nor a symbolic link");
    }
    if ((archive_entry_perm(entry) & kSpecialBits) != 0) {
      return Refuse(path, "has a set-user-id, set-group-id or sticky bit");
    }
    const std::string full = absl::StrCat(root_, "/", path);
    PANDO_RETURN_IF_ERROR(CheckNew(path, full, type == AE_IFDIR));
    return Write(entry, path, full, type);
  }

  // Directories the archive does not name are made as well, up to a thousand for one entry.
  uint64_t MissingParents(const std::string& path) const {
    uint64_t missing = 0;
    for (size_t end = path.rfind('/'); end != std::string::npos; end = path.rfind('/', end - 1)) {
      struct stat info {};
      if (lstat(absl::StrCat(root_, "/", path.substr(0, end)).c_str(), &info) == 0) break;
      ++missing;
    }
    return missing;
  }

  // The directory was empty: what is there came from this archive. Its directories may come after
  // what is in them, and twice.
  static absl::Status CheckNew(const std::string& path, const std::string& full,
                               bool is_directory) {
    struct stat info {};
    if (lstat(full.c_str(), &info) != 0) {
      if (errno == ENOENT) return absl::OkStatus();
      return Refuse(path, absl::StrCat("cannot be unpacked: ", std::strerror(errno)));
    }
    if (is_directory && S_ISDIR(info.st_mode)) return absl::OkStatus();
    return Refuse(path, "comes twice");
  }

  absl::Status Write(archive_entry* from, const std::string& path, const std::string& full,
                     unsigned type) {
    // Made anew, so that nothing else of the archive's entry (owners, times, attributes) gets far.
    const std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(),
                                                                         archive_entry_free);
    archive_entry_set_pathname(entry.get(), full.c_str());
    archive_entry_set_filetype(entry.get(), type);
    uint64_t size = 0;
    if (type == AE_IFLNK) {
      const char* const target = archive_entry_symlink(from);
      if (const std::string why = WhyBadLink(path, target != nullptr ? target : ""); !why.empty()) {
        return Refuse(path, why);
      }
      archive_entry_set_symlink(entry.get(), target);
      archive_entry_set_perm(entry.get(), 0777);
    } else if (type == AE_IFDIR) {
      archive_entry_set_perm(entry.get(), 0755);
    } else {
      if (archive_entry_size(from) < 0) return Refuse(path, "has a negative size");
      size = static_cast<uint64_t>(archive_entry_size(from));
      if (size > limits_.bytes - bytes_) return TooLarge();
      archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size));
      archive_entry_set_perm(entry.get(), (archive_entry_perm(from) & S_IXUSR) != 0 ? 0755 : 0644);
    }
    if (archive_write_header(out_.get(), entry.get()) != ARCHIVE_OK) {
      return ArchiveError(out_.get(), path);
    }
    if (type == AE_IFREG) PANDO_RETURN_IF_ERROR(CopyContents(path, size));
    if (archive_write_finish_entry(out_.get()) != ARCHIVE_OK) {
      return ArchiveError(out_.get(), path);
    }
    return absl::OkStatus();
  }

  absl::Status CopyContents(const std::string& path, uint64_t size) {
    uint64_t copied = 0;
    for (;;) {
      if (stop_()) return absl::CancelledError("stopped");
      const la_ssize_t got = archive_read_data(in_.get(), piece_.data(), piece_.size());
      if (got < 0) return ArchiveError(in_.get(), path);
      if (got == 0) break;
      copied += static_cast<uint64_t>(got);
      bytes_ += static_cast<uint64_t>(got);
      if (copied > size || bytes_ > limits_.bytes) return TooLarge();
      if (archive_write_data(out_.get(), piece_.data(), static_cast<size_t>(got)) != got) {
        return ArchiveError(out_.get(), path);
      }
    }
    return copied == size ? absl::OkStatus() : Refuse(path, "is cut short");
  }

  absl::Status TooLarge() const {
    return absl::ResourceExhaustedError(
        absl::StrCat("more than ", limits_.bytes, " bytes when it is unpacked"));
  }

  const std::string root_;
  const UnpackLimits limits_;
  absl::FunctionRef<bool()> stop_;
  std::unique_ptr<struct archive, int (*)(struct archive*)> in_;
  std::unique_ptr<struct archive, int (*)(struct archive*)> out_;
  std::vector<char> piece_;
  uint64_t bytes_ = 0;
  uint64_t entries_ = 0;
};

}  // namespace

absl::Status Unpack(const std::string& archive_path, const std::string& dir,
                    const UnpackLimits& limits, absl::FunctionRef<bool()> stop) {
  // libarchive is to follow no link below `dir`; those above it are the host's own.
  const std::unique_ptr<char, void (*)(void*)> root(realpath(dir.c_str(), nullptr), std::free);
  if (root == nullptr) return absl::ErrnoToStatus(errno, dir);
  return Unpacker(root.get(), limits, stop).Run(archive_path);
}

}  // namespace pando::artifact
