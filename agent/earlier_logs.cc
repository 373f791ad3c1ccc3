#include "agent/earlier_logs.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/instance_dir.h"
#include "agent/shim/protocol.h"

namespace pando::agent {
namespace {

namespace fs = std::filesystem;

constexpr char kUnfinished[] = "unfinished";  // no app's name has a slot's form without a dot

// When something was put into the directory last; 0: there is none.
int64_t ChangedUnixMs(const std::string& path) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) return 0;
  return int64_t{info.st_mtim.tv_sec} * 1'000 + info.st_mtim.tv_nsec / 1'000'000;
}

uint64_t BytesIn(const fs::path& dir) {
  uint64_t bytes = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(dir, error)) {
    const uintmax_t size = entry.file_size(error);
    if (!error) bytes += size;
  }
  return bytes;
}

bool MoveLog(const fs::path& from, const fs::path& to) {
  std::error_code error;
  for (int index = 0; index < shim::kLogFiles; ++index) {
    const std::string name = index == 0 ? shim::kLogFile : absl::StrCat(shim::kLogFile, ".", index);
    fs::rename(from / name, to / name, error);
    if (index == 0 && error) return false;
  }
  fs::rename(from / shim::kStartsFile, to / shim::kStartsFile, error);
  return true;
}

}  // namespace

std::string EarlierLogs::PathOf(const Assignment& assignment) const {
  return absl::StrCat(dir_, "/", InstanceName(assignment));
}

void EarlierLogs::Keep(const std::string& instance_dir, const Assignment& assignment) const {
  if (!IsSafeFileName(InstanceName(assignment))) return;
  const fs::path unfinished = absl::StrCat(dir_, "/", kUnfinished);
  std::error_code error;
  fs::remove_all(unfinished, error);
  fs::create_directories(unfinished, error);
  if (error || !MoveLog(instance_dir, unfinished)) return;
  const fs::path kept = PathOf(assignment);
  fs::remove_all(kept, error);
  fs::rename(unfinished, kept, error);
  DropOldest();
}

void EarlierLogs::DropOldest() const {
  std::vector<std::pair<int64_t, fs::path>> newest_first;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(dir_, error)) {
    newest_first.emplace_back(ChangedUnixMs(entry.path()), entry.path());
  }
  std::sort(newest_first.rbegin(), newest_first.rend());
  uint64_t bytes = 0;
  for (const auto& [changed, path] : newest_first) {
    bytes += BytesIn(path);
    if (bytes > max_bytes_) fs::remove_all(path, error);
  }
}

std::optional<LogReader> OpenPreviousRun(const std::string& instance_dir,
                                         const std::string& earlier_dir, uint32_t tail_lines,
                                         int64_t since_unix_ms) {
  LogReader own(instance_dir, {tail_lines, since_unix_ms, LogRange::Starts::kPrevious});
  const int64_t earlier_ended = ChangedUnixMs(earlier_dir);
  const auto run = InstanceDir(instance_dir).ReadRun();
  // Releases overlap: the one before may have ended after this one began.
  const bool ended_later = earlier_ended > 0 && run && earlier_ended > run->started_unix_ms;
  if (own.found_previous() && !ended_later) return own;
  if (earlier_ended == 0) return std::nullopt;
  return LogReader(earlier_dir, {tail_lines, since_unix_ms, LogRange::Starts::kLast});
}

}  // namespace pando::agent
