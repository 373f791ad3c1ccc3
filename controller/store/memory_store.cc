#include "controller/store/memory_store.h"

#include <algorithm>
#include <optional>
#include <variant>

#include "absl/strings/str_cat.h"
#include "controller/store/keys.h"

namespace pando::controller {

absl::StatusOr<int64_t> MemoryStore::Commit(const std::vector<StoreCondition>& conditions,
                                            const std::vector<StoreWrite>& writes) {
  for (const StoreCondition& condition : conditions) {
    const auto found = entries_.find(condition.key);
    const int64_t actual = found == entries_.end() ? 0 : found->second.revision;
    if (absl::Status status = CheckRevision(condition, actual); !status.ok()) return status;
  }
  ++revision_;
  for (const StoreWrite& write : writes) {
    if (const auto* put = std::get_if<StorePut>(&write)) {
      entries_[put->key] = {put->key, put->value, revision_};
    } else {
      entries_.erase(std::get<StoreDelete>(write).key);
    }
  }
  return revision_;
}

absl::StatusOr<StoreEntry> MemoryStore::Get(const std::string& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return absl::NotFoundError(absl::StrCat("no key ", key));
  return found->second;
}

absl::StatusOr<std::vector<StoreEntry>> MemoryStore::Range(const std::string& prefix, size_t limit,
                                                           bool reverse) {
  const std::optional<std::string> end_key = PrefixEnd(prefix);
  const auto begin = entries_.lower_bound(prefix);
  const auto end = end_key ? entries_.lower_bound(*end_key) : entries_.end();
  std::vector<StoreEntry> entries;
  for (auto it = begin; it != end; ++it) entries.push_back(it->second);
  if (reverse) std::reverse(entries.begin(), entries.end());
  if (limit != 0 && entries.size() > limit) entries.resize(limit);
  return entries;
}

}  // namespace pando::controller
