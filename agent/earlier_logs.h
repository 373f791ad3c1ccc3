// The logs of instances that are gone, for `ctl logs --previous`: of each slot of an app what its
// last assignment here printed, also when that was of another release. Bounded by bytes: the oldest
// go. Used on the loop; only renames and deletes. What cannot be kept is lost, and nothing else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agent/core/assignment.h"
#include "agent/log_reader.h"

namespace pando::agent {

class EarlierLogs {
 public:
  static constexpr uint64_t kMaxBytes = 256 << 20;

  // `dir` is made when there is something to keep.
  explicit EarlierLogs(std::string dir, uint64_t max_bytes = kMaxBytes)
      : dir_(std::move(dir)), max_bytes_(max_bytes) {}

  // Takes the log out of the directory of an instance that is gone, in place of the slot's one
  // before. One that never started has none to take.
  void Keep(const std::string& instance_dir, const Assignment& assignment) const;
  // Where the slot's log is, if there is one.
  std::string PathOf(const Assignment& assignment) const;

 private:
  void DropOldest() const;

  std::string dir_;
  uint64_t max_bytes_;
};

// Reads what the run before the current one printed: the start before the last one of the instance,
// or the last one of what is kept in `earlier_dir`, whichever ended later. Nothing when there is
// neither.
std::optional<LogReader> OpenPreviousRun(const std::string& instance_dir,
                                         const std::string& earlier_dir, uint32_t tail_lines,
                                         int64_t since_unix_ms);

}  // namespace pando::agent
