#include "agent/cgroup_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "agent/usage.h"
#include "common/runtime/unique_fd.h"

namespace pando::agent {
namespace {

// With one read: the kernel makes the text of such a file as a whole, and it is short.
std::string ReadText(const std::string& dir, absl::string_view file) {
  const UniqueFd fd(open(absl::StrCat(dir, "/", file).c_str(), O_RDONLY | O_CLOEXEC));
  char text[8'192];
  const ssize_t size = fd.valid() ? read(fd.get(), text, sizeof(text)) : 0;
  return std::string(text, size > 0 ? static_cast<size_t>(size) : 0);
}

}  // namespace

absl::Status WriteCgroupFile(const std::string& dir, absl::string_view file,
                             absl::string_view text) {
  const std::string path = absl::StrCat(dir, "/", file);
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (fd.valid() &&
      write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size())) {
    return absl::OkStatus();
  }
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", text, " to ", path));
}

uint64_t ReadCgroupNumber(const std::string& dir, absl::string_view file) {
  return std::strtoull(ReadText(dir, file).c_str(), nullptr, 10);
}

uint64_t ReadCgroupNumber(const std::string& dir, absl::string_view file, const std::string& key) {
  return ParseKeyed(ReadText(dir, file), key + " ");
}

bool HasCgroupFile(const std::string& dir, absl::string_view file) {
  return access(absl::StrCat(dir, "/", file).c_str(), F_OK) == 0;
}

absl::Status MakeCgroupDirs(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error) return absl::OkStatus();
  return absl::ErrnoToStatus(error.value(), absl::StrCat("cannot make the control group ", path));
}

}  // namespace pando::agent
