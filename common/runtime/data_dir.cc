#include "common/runtime/data_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace pando {
namespace {

std::string ErrorText(int error) {
  std::string text = std::strerror(error);
  if (!text.empty()) text[0] = absl::ascii_tolower(text[0]);
  return text;
}

absl::Status FileError(std::string_view what, const std::string& path, int error) {
  return absl::ErrnoToStatus(error, absl::StrCat(std::string(what), " ", path));
}

absl::Status DirError(const std::string& path, int error) {
  const std::string advice = error == EACCES || error == EPERM
                                 ? "run as its owner or choose another with --data-dir"
                                 : "choose another with --data-dir";
  return absl::FailedPreconditionError(
      absl::StrCat("data directory ", path, ": ", ErrorText(error), " (", advice, ")"));
}

// Like mkdir -p. Returns an errno, 0 on success.
int MakeDirs(const std::string& path) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const bool last = slash == std::string::npos;
    const std::string prefix = path.substr(0, slash);
    if (mkdir(prefix.c_str(), 0700) != 0 && errno != EEXIST) {
      // A parent that exists may refuse with another error (a read-only file system does).
      const int error = errno;
      struct stat info {};
      if (stat(prefix.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) return error;
    }
    if (last) break;
  }
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return errno;
  return S_ISDIR(info.st_mode) ? 0 : ENOTDIR;
}

absl::Status WriteAll(int fd, const std::string& path, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FileError("write", path, errno);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status SyncDirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FileError("open", directory, errno);
  const int error = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  return error == 0 ? absl::OkStatus() : FileError("fsync", directory, error);
}

}  // namespace

absl::StatusOr<std::unique_ptr<DataDir>> DataDir::Open(const std::string& path) {
  if (path.empty()) return absl::InvalidArgumentError("--data-dir: must not be empty");
  if (const int error = MakeDirs(path); error != 0) return DirError(path, error);
  const std::string lock_path = absl::StrCat(path, "/lock");
  UniqueFd lock(open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid()) return DirError(path, errno);
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return DirError(path, errno);
    char holder[32] = {};
    const ssize_t length = pread(lock.get(), holder, sizeof(holder) - 1, 0);
    const std::string pid(absl::StripAsciiWhitespace({holder, length > 0 ? size_t(length) : 0}));
    return absl::FailedPreconditionError(
        absl::StrCat("data directory ", path, " is in use by ",
                     pid.empty() ? "another process" : absl::StrCat("process ", pid),
                     " (stop it or choose another with --data-dir)"));
  }
  auto dir = std::unique_ptr<DataDir>(new DataDir(path, std::move(lock)));
  PANDO_RETURN_IF_ERROR(dir->NameHolder());
  return dir;
}

std::unique_ptr<DataDir> DataDir::Adopt(const std::string& path, UniqueFd lock) {
  return std::unique_ptr<DataDir>(new DataDir(path, std::move(lock)));
}

UniqueFd DataDir::ShareLock() const { return UniqueFd(fcntl(lock_.get(), F_DUPFD_CLOEXEC, 0)); }

absl::Status DataDir::NameHolder() {
  const std::string pid = absl::StrCat(getpid(), "\n");
  if (ftruncate(lock_.get(), 0) != 0 ||
      pwrite(lock_.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return DirError(path_, errno);
  }
  return absl::OkStatus();
}

std::string DataDir::File(std::string_view name) const {
  return absl::StrCat(path_, "/", std::string(name));
}

absl::Status WriteFileAtomically(const std::string& path, std::string_view bytes) {
  const std::string temporary = absl::StrCat(path, ".tmp");
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return FileError("open", temporary, errno);
  absl::Status status = WriteAll(fd, temporary, bytes);
  if (status.ok() && fsync(fd) != 0) status = FileError("fsync", temporary, errno);
  if (close(fd) != 0 && status.ok()) status = FileError("close", temporary, errno);
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
    status = FileError("rename to", path, errno);
  }
  if (!status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  return SyncDirectoryOf(path);
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FileError("open", path, errno);
  const absl::Cleanup close_fd = [fd] { close(fd); };
  std::string bytes;
  char buffer[16 * 1024];
  for (;;) {
    const ssize_t length = read(fd, buffer, sizeof(buffer));
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return FileError("read", path, errno);
    if (length == 0) return bytes;
    bytes.append(buffer, static_cast<size_t>(length));
  }
}

std::string RandomHexId() {
  char bytes[16];
  // Up to 256 bytes come whole once the pool is initialised, which getrandom waits for.
  if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes)) std::abort();
  return absl::BytesToHexString({bytes, sizeof(bytes)});
}

}  // namespace pando
