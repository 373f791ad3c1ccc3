#include "agent/install_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"

namespace pando::agent {

InstallLog::InstallLog(std::string path, size_t bytes_each)
    : path_(std::move(path)), bytes_each_(bytes_each) {
  Begin();
}

void InstallLog::Begin() {
  rename(path_.c_str(), absl::StrCat(path_, ".1").c_str());
  file_.reset(open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  size_ = 0;
}

void InstallLog::Write(std::string_view text) {
  while (!text.empty()) {
    if (size_ >= bytes_each_) Begin();
    const ssize_t written =
        write(file_.get(), text.data(), std::min(text.size(), bytes_each_ - size_));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    size_ += static_cast<size_t>(written);
    text.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace pando::agent
