#include "controller/service/artifact_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "artifact/core/source_name.h"
#include "artifact/sha256.h"
#include "common/base/status_macros.h"

namespace pando::controller {
namespace {

constexpr char kPartSuffix[] = ".part";
constexpr char kGoneSuffix[] = ".gone";

// Of write(): a full disk is the operator's to know, not an internal error.
absl::Status WriteError(const std::string& path, int error) {
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the controller cannot keep the artifact: no room for ", path));
  }
  return absl::ErrnoToStatus(error, path);
}

WallTime ModifiedAt(const struct stat& info) {
  return WallTime{std::chrono::duration_cast<WallTime::duration>(
      std::chrono::seconds{info.st_mtim.tv_sec} + std::chrono::nanoseconds{info.st_mtim.tv_nsec})};
}

absl::Status SyncDirectory(const std::string& dir) {
  const UniqueFd fd(open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || fsync(fd.get()) != 0) return absl::ErrnoToStatus(errno, dir);
  return absl::OkStatus();
}

std::string Mib(uint64_t bytes) { return absl::StrCat((bytes + (1 << 20) - 1) >> 20, " MiB"); }

}  // namespace

absl::StatusOr<std::unique_ptr<ArtifactStore>> ArtifactStore::Open(const std::string& dir,
                                                                   ArtifactLimits limits) {
  if (mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", dir));
  }
  std::vector<std::string> gone;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(dir, error)) {
    if (absl::EndsWith(entry.path().string(), kGoneSuffix)) gone.push_back(entry.path().string());
  }
  if (error) return absl::InternalError(absl::StrCat("cannot read ", dir, ": ", error.message()));
  Delete(gone);
  std::unique_ptr<ArtifactStore> store(new ArtifactStore(dir, limits));
  store->Count();
  return store;
}

void ArtifactStore::Count() {
  uint64_t artifacts = 0, bytes = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(dir_, error)) {
    if (!artifact::IsDigest(entry.path().filename().string())) continue;
    std::error_code gone;
    const uint64_t size = entry.file_size(gone);
    if (gone) continue;
    ++artifacts;
    bytes += size;
  }
  artifacts_ = artifacts;
  bytes_ = bytes;
}

std::string ArtifactStore::PathOf(std::string_view digest) const {
  return absl::StrCat(dir_, "/", std::string(digest));
}

std::string ArtifactStore::PartOf(std::string_view digest) const {
  return absl::StrCat(PathOf(digest), kPartSuffix);
}

ArtifactStore::Kept ArtifactStore::Find(const std::string& digest) const {
  if (!artifact::IsDigest(digest)) return {};
  for (const bool complete : {true, false}) {
    const std::string path = complete ? PathOf(digest) : PartOf(digest);
    struct stat info {};
    if (stat(path.c_str(), &info) != 0) continue;
    utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
    return {complete, static_cast<uint64_t>(info.st_size)};
  }
  return {};
}

absl::Status ArtifactStore::CheckRoom(uint64_t more_bytes) const {
  struct statvfs disk {};
  if (statvfs(dir_.c_str(), &disk) != 0) return absl::ErrnoToStatus(errno, dir_);
  const uint64_t free_bytes = uint64_t{disk.f_bavail} * disk.f_frsize;
  if (free_bytes >= limits_.reserve_bytes && free_bytes - limits_.reserve_bytes >= more_bytes) {
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("no room for the artifact on the controller's disk: it needs ", Mib(more_bytes),
                   ", ", Mib(free_bytes), " are free at ", dir_, " and ",
                   Mib(limits_.reserve_bytes), " of these are left to the controller itself"));
}

std::shared_ptr<ArtifactStore::Slot> ArtifactStore::TakeSlot(const std::string& digest,
                                                             uint64_t& id) {
  const std::lock_guard lock(mutex_);
  id = next_upload_++;
  std::shared_ptr<Slot>& slot = slots_[digest];
  if (slot == nullptr) slot = std::make_shared<Slot>();
  return slot;
}

void ArtifactStore::LeaveSlot(const std::string& digest, std::shared_ptr<Slot> slot) {
  const std::lock_guard lock(mutex_);
  // The map's and this one: nobody else has it, and nobody can get it meanwhile.
  if (slot.use_count() == 2) slots_.erase(digest);
}

absl::StatusOr<std::unique_ptr<ArtifactStore::Upload>> ArtifactStore::Begin(
    const std::string& digest, uint64_t size, uint64_t offset) {
  if (!artifact::IsDigest(digest)) {
    return absl::InvalidArgumentError(
        absl::StrCat("digest: \"", digest, "\" is none (allowed: 64 hex digits in lower case)"));
  }
  if (size == 0 || size > limits_.largest_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("size_bytes: ", size, " (allowed: 1 to ", limits_.largest_bytes, ")"));
  }
  std::unique_ptr<Upload> upload(new Upload(*this, digest, size));
  upload->slot_ = TakeSlot(digest, upload->id_);
  const std::lock_guard lock(upload->slot_->mutex);
  upload->slot_->owner = upload->id_;
  const std::string part = PartOf(digest);
  upload->file_.reset(open(part.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  struct stat info {};
  if (!upload->file_.valid() || fstat(upload->file_.get(), &info) != 0) {
    return WriteError(part, errno);
  }
  if (const auto kept = static_cast<uint64_t>(info.st_size); offset > kept || offset > size) {
    return absl::FailedPreconditionError(
        absl::StrCat("offset: ", offset, " (", kept, " bytes of it are kept)"));
  }
  PANDO_RETURN_IF_ERROR(CheckRoom(size - offset));
  // What is behind the offset comes again.
  if (ftruncate(upload->file_.get(), static_cast<off_t>(offset)) != 0) {
    return WriteError(part, errno);
  }
  upload->bytes_ = offset;
  return upload;
}

absl::StatusOr<ArtifactStore::Opened> ArtifactStore::OpenToRead(const std::string& digest) const {
  Opened opened;
  struct stat info {};
  if (artifact::IsDigest(digest)) {
    opened.file.reset(open(PathOf(digest).c_str(), O_RDONLY | O_CLOEXEC));
  }
  if (!opened.file.valid() || fstat(opened.file.get(), &info) != 0) {
    return absl::NotFoundError(
        absl::StrCat("the controller does not have the artifact ", artifact::DigestName(digest)));
  }
  opened.bytes = static_cast<uint64_t>(info.st_size);
  return opened;
}

std::vector<std::string> ArtifactStore::Collect(const std::set<std::string>& needed,
                                                WallTime unused_since) {
  std::vector<std::string> collected;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(dir_, error)) {
    const std::string name = entry.path().filename().string();
    const std::string digest = name.substr(0, name.find('.'));
    const bool is_part = absl::EndsWith(name, kPartSuffix);
    struct stat info {};
    if (!artifact::IsDigest(digest) || absl::EndsWith(name, kGoneSuffix) ||
        (!is_part && needed.contains(digest)) || stat(entry.path().c_str(), &info) != 0 ||
        ModifiedAt(info) > unused_since) {
      continue;
    }
    if (is_part) {
      const std::lock_guard lock(mutex_);
      if (slots_.contains(digest)) continue;  // being written, however slowly
    }
    std::string gone = entry.path().string() + kGoneSuffix;
    if (rename(entry.path().c_str(), gone.c_str()) == 0) collected.push_back(std::move(gone));
  }
  Count();
  return collected;
}

void ArtifactStore::Delete(const std::vector<std::string>& collected) {
  // One that stays is found again at the next start.
  for (const std::string& path : collected) unlink(path.c_str());
}

// ---- an upload ----

ArtifactStore::Upload::~Upload() {
  if (slot_ != nullptr) store_.LeaveSlot(digest_, std::move(slot_));
}

absl::Status ArtifactStore::Upload::CheckOwner() const {
  if (slot_->owner == id_) return absl::OkStatus();
  return absl::AbortedError("another upload of the same artifact took over");
}

absl::Status ArtifactStore::Upload::Append(std::string_view bytes) {
  const std::lock_guard lock(slot_->mutex);
  PANDO_RETURN_IF_ERROR(CheckOwner());
  if (bytes.size() > size_ - bytes_) {
    return absl::InvalidArgumentError(absl::StrCat("more bytes than size_bytes says: ", size_));
  }
  while (!bytes.empty()) {
    const ssize_t written =
        pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(bytes_));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return WriteError(store_.PartOf(digest_), errno);
    bytes_ += static_cast<uint64_t>(written);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status ArtifactStore::Upload::Finish(const std::function<bool()>& stop) {
  const std::lock_guard lock(slot_->mutex);
  PANDO_RETURN_IF_ERROR(CheckOwner());
  const std::string part = store_.PartOf(digest_);
  if (bytes_ != size_) {
    return absl::InvalidArgumentError(
        absl::StrCat("size_bytes: ", size_, " were said, ", bytes_, " came"));
  }
  if (fsync(file_.get()) != 0) return WriteError(part, errno);
  PANDO_ASSIGN_OR_RETURN(const std::string digest, artifact::Sha256OfFile(part, stop));
  if (digest != digest_) {
    unlink(part.c_str());
    return absl::InvalidArgumentError(absl::StrCat("the bytes that came are not those of ",
                                                   artifact::DigestName(digest_), " but of ",
                                                   artifact::DigestName(digest)));
  }
  const std::string path = store_.PathOf(digest_);
  if (rename(part.c_str(), path.c_str()) != 0) return absl::ErrnoToStatus(errno, path);
  store_.Count();
  return SyncDirectory(store_.dir_);
}

}  // namespace pando::controller
