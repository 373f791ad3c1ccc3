// A daemon's data directory and crash-safe files in it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/runtime/unique_fd.h"

namespace pando {

// Holds a lock (flock on <path>/lock) for as long as it lives: two daemons never share a directory.
// The lock's descriptor is close-on-exec.
class DataDir {
 public:
  // Creates the directory (mode 0700) with its parents. Errors name the path and what to do:
  // "data directory /var/lib/pando/agent: permission denied (run as its owner or choose another
  // with --data-dir)", "... is in use by process 123".
  static absl::StatusOr<std::unique_ptr<DataDir>> Open(const std::string& path);
  // One whose lock was handed over by the process that held it: both hold it until either ends.
  static std::unique_ptr<DataDir> Adopt(const std::string& path, UniqueFd lock);
  DataDir(const DataDir&) = delete;
  DataDir& operator=(const DataDir&) = delete;

  // A duplicate of the lock's descriptor, to be handed over; invalid when there is no room for one.
  UniqueFd ShareLock() const;
  // Writes this process's id into the lock file, for the message above.
  absl::Status NameHolder();

  const std::string& path() const { return path_; }
  std::string File(std::string_view name) const;

 private:
  DataDir(std::string path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  UniqueFd lock_;
};

// Writes <path>.tmp, fsyncs, renames over `path`, fsyncs the directory: after a crash either the
// old or the new bytes are there.
absl::Status WriteFileAtomically(const std::string& path, std::string_view bytes);
// kNotFound when there is no such file.
absl::StatusOr<std::string> ReadFile(const std::string& path);
// 16 random bytes as 32 hex digits.
std::string RandomHexId();

}  // namespace pando
