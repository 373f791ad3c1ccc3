// All that a step printed, as far as the bounds go: the newest in `path`, what was before it (its
// first half, or an earlier try) in `path`.1.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/runtime/unique_fd.h"

namespace pando::agent {

class InstallLog {
 public:
  // What is in `path` becomes `path`.1 at once. For this process's user only.
  explicit InstallLog(std::string path, size_t bytes_each = 1 << 20);

  // What cannot be written is dropped: a step does not fail for its log.
  void Write(std::string_view text);

 private:
  void Begin();

  const std::string path_;
  const size_t bytes_each_;
  UniqueFd file_;
  size_t size_ = 0;
};

}  // namespace pando::agent
