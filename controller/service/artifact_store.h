// Packed directories in files named by their SHA-256: <dir>/<digest>, and <dir>/<digest>.part while
// one is uploaded. A file under its own name is whole, verified and on the disk.
//
// Thread-safe; calls block on the disk.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/runtime/unique_fd.h"

namespace pando::controller {

struct ArtifactLimits {
  uint64_t largest_bytes = uint64_t{8} << 30;
  uint64_t reserve_bytes = uint64_t{256} << 20;  // of the disk, left to the rest of the controller
};

class ArtifactStore {
 public:
  // Makes `dir` (its parent exists). Uploads cut short by an earlier life can be resumed.
  static absl::StatusOr<std::unique_ptr<ArtifactStore>> Open(const std::string& dir,
                                                             ArtifactLimits limits = {});

  struct Kept {
    bool complete = false;
    uint64_t bytes = 0;  // an upload goes on from here
  };
  // What is asked for counts as used now (see Collect).
  Kept Find(const std::string& digest) const;

  // One upload under way; a later one of the same digest takes over from it. Destroyed before
  // Finish, what was appended stays and can be resumed.
  class Upload;
  // `offset` must not be behind what is kept: kFailedPrecondition. kInvalidArgument: no digest, or
  // a size that is not allowed. kResourceExhausted: no room.
  absl::StatusOr<std::unique_ptr<Upload>> Begin(const std::string& digest, uint64_t size,
                                                uint64_t offset);

  struct Opened {
    UniqueFd file;
    uint64_t bytes = 0;
  };
  // kNotFound. What is open stays readable when it is collected meanwhile.
  absl::StatusOr<Opened> OpenToRead(const std::string& digest) const;

  struct Totals {
    uint64_t artifacts = 0;  // whole ones
    uint64_t bytes = 0;
  };
  // As of the last upload or collection: does not wait for the disk.
  Totals totals() const { return {artifacts_, bytes_}; }

  // Takes those away that are not `needed` and were not used since `unused_since`: uploads that
  // were given up, too. Their files are renamed at once and listed; Delete takes the time it takes.
  std::vector<std::string> Collect(const std::set<std::string>& needed, WallTime unused_since);
  static void Delete(const std::vector<std::string>& collected);

 private:
  struct Slot {
    std::mutex mutex;    // held while its file is written
    uint64_t owner = 0;  // the upload that may write; guarded by mutex
  };

  ArtifactStore(std::string dir, ArtifactLimits limits) : dir_(std::move(dir)), limits_(limits) {}

  void Count();
  std::string PathOf(std::string_view digest) const;
  std::string PartOf(std::string_view digest) const;
  absl::Status CheckRoom(uint64_t more_bytes) const;
  std::shared_ptr<Slot> TakeSlot(const std::string& digest, uint64_t& id);
  void LeaveSlot(const std::string& digest, std::shared_ptr<Slot> slot);

  const std::string dir_;
  const ArtifactLimits limits_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Slot>> slots_;  // of uploads under way; guarded by mutex_
  uint64_t next_upload_ = 1;                            // guarded by mutex_
  std::atomic<uint64_t> artifacts_{0};
  std::atomic<uint64_t> bytes_{0};
};

// Used by one thread.
class ArtifactStore::Upload {
 public:
  ~Upload();
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;

  // kAborted: another upload took over. kResourceExhausted: no room on the disk. kInvalidArgument:
  // more than was said.
  absl::Status Append(std::string_view bytes);
  // Verifies and keeps it. kInvalidArgument: these are not the bytes of the digest, and are
  // dropped. `stop` is asked now and then: kCancelled.
  absl::Status Finish(const std::function<bool()>& stop);

 private:
  friend class ArtifactStore;
  Upload(ArtifactStore& store, std::string digest, uint64_t size)
      : store_(store), digest_(std::move(digest)), size_(size) {}

  absl::Status CheckOwner() const;

  ArtifactStore& store_;
  const std::string digest_;
  const uint64_t size_;
  std::shared_ptr<Slot> slot_;
  uint64_t id_ = 0;
  UniqueFd file_;
  uint64_t bytes_ = 0;
};

}  // namespace pando::controller
