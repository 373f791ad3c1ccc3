// A Store that lives as long as its process: for tests and the simulation.
// Threads: not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "controller/store/store.h"

namespace pando::controller {

class MemoryStore final : public Store {
 public:
  absl::StatusOr<int64_t> Commit(const std::vector<StoreCondition>& conditions,
                                 const std::vector<StoreWrite>& writes) override;
  absl::StatusOr<StoreEntry> Get(const std::string& key) override;
  absl::StatusOr<std::vector<StoreEntry>> Range(const std::string& prefix, size_t limit,
                                                bool reverse) override;

 private:
  std::map<std::string, StoreEntry> entries_;
  int64_t revision_ = 0;
};

}  // namespace pando::controller
