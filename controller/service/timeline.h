// The newest events in memory, oldest first, for those who ask what happened. Readers keep a
// sequence number and read on from it: a reader that is too slow misses the oldest, nobody waits.
// Used on the loop.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <vector>

#include "pando/v1/store.pb.h"

namespace pando::controller {

namespace v1 = ::pando::v1;

class Timeline {
 public:
  Timeline(std::vector<v1::EventRecord> events, size_t capacity);

  void Add(v1::EventRecord event);  // sequence numbers must grow
  // The first event whose sequence is at least `sequence`; nullptr when there is none yet.
  const v1::EventRecord* At(uint64_t sequence) const;
  // Forgets those of before; returns their sequence numbers.
  std::vector<uint64_t> DropBefore(int64_t unix_ms);
  const std::deque<v1::EventRecord>& events() const { return events_; }

  // `changed` runs after every Add, until Unfollow.
  uint64_t Follow(std::function<void()> changed);
  void Unfollow(uint64_t id);

 private:
  const size_t capacity_;
  std::deque<v1::EventRecord> events_;
  std::map<uint64_t, std::function<void()>> followers_;
  uint64_t next_follower_ = 1;
};

}  // namespace pando::controller
