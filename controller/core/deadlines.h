// Times at which something has to be looked at again, soonest first. Not thread-safe.
#pragma once

#include <compare>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "common/base/time.h"

namespace pando::controller {

// One deadline per key: setting it again moves it.
template <class Key>
class Deadlines {
 public:
  void Set(const Key& key, Instant when) {
    Clear(key);
    when_.emplace(key, when);
    order_.emplace(when, key);
  }
  void Clear(const Key& key) {
    const auto found = when_.find(key);
    if (found == when_.end()) return;
    order_.erase({found->second, key});
    when_.erase(found);
  }
  bool Has(const Key& key) const { return when_.count(key) > 0; }
  // The soonest that is due, taken out.
  std::optional<Key> TakeDue(Instant now) {
    if (order_.empty() || order_.begin()->first > now) return std::nullopt;
    Key key = order_.begin()->second;
    Clear(key);
    return key;
  }
  std::optional<Instant> Next() const {
    if (order_.empty()) return std::nullopt;
    return order_.begin()->first;
  }

 private:
  std::map<Key, Instant> when_;
  std::set<std::pair<Instant, Key>> order_;
};

}  // namespace pando::controller
