// Durable map from key to bytes; every commit gets a larger revision.
// Threads: calls block; use only on the store's thread (see service/store_thread.h).
// Errors: kAborted when a condition does not hold (re-read, then decide again);
//         kUnavailable when the backend does not answer (retry as is);
//         kDataLoss when what is stored cannot be read (an operator must look).
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"

namespace pando::controller {

struct StoreEntry {
  std::string key;
  std::string value;
  int64_t revision = 0;  // of the commit that wrote it
  bool operator==(const StoreEntry&) const = default;
};

struct StorePut {
  std::string key;
  std::string value;
};
struct StoreDelete {
  std::string key;  // absent keys are no error
};
using StoreWrite = std::variant<StorePut, StoreDelete>;

// Holds when the key's revision is `revision`; 0 means the key does not exist.
struct StoreCondition {
  std::string key;
  int64_t revision = 0;
};

class Store {
 public:
  virtual ~Store() = default;

  // All writes or none, if every condition holds. Returns the commit's revision. When it returns,
  // the writes survive a crash of the process and of the machine.
  virtual absl::StatusOr<int64_t> Commit(const std::vector<StoreCondition>& conditions,
                                         const std::vector<StoreWrite>& writes) = 0;
  // kNotFound when there is none.
  virtual absl::StatusOr<StoreEntry> Get(const std::string& key) = 0;
  // Entries whose key starts with `prefix`, by key; `limit` 0 is all, `reverse` the largest first.
  virtual absl::StatusOr<std::vector<StoreEntry>> Range(const std::string& prefix, size_t limit,
                                                        bool reverse) = 0;
};

}  // namespace pando::controller
