// The Store of a single controller: one SQLite file (WAL, synchronous=FULL), with -wal and -shm
// files beside it. The file does not grow with uptime: the log is truncated and freed pages are
// given back every kMaintenanceInterval commits.
// Threads: not thread-safe; calls block (a commit waits for the disk).
// Errors: as in store.h, and on Open
//         kPermissionDenied   the file or its directory is not writable,
//         kDataLoss           the file is damaged, or is not a controller's database,
//         kFailedPrecondition the file was written by a newer version of this program.
//         Every message names the file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "controller/store/store.h"

namespace pando::controller {

class SqliteStore final : public Store {
 public:
  static constexpr int kSchemaVersion = 1;
  static constexpr int kMaintenanceInterval = 250;  // commits

  // Opens or makes the database file `path`; its directory must exist.
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const std::string& path);
  ~SqliteStore() override;
  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;

  absl::StatusOr<int64_t> Commit(const std::vector<StoreCondition>& conditions,
                                 const std::vector<StoreWrite>& writes) override;
  absl::StatusOr<StoreEntry> Get(const std::string& key) override;
  absl::StatusOr<std::vector<StoreEntry>> Range(const std::string& prefix, size_t limit,
                                                bool reverse) override;

 private:
  class Database;
  explicit SqliteStore(std::unique_ptr<Database> database);

  absl::StatusOr<int64_t> CommitInTransaction(const std::vector<StoreCondition>& conditions,
                                              const std::vector<StoreWrite>& writes);

  std::unique_ptr<Database> database_;
  int commits_since_maintenance_ = 0;
};

}  // namespace pando::controller
