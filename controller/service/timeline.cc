#include "controller/service/timeline.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace pando::controller {

Timeline::Timeline(std::vector<v1::EventRecord> events, size_t capacity)
    : capacity_(capacity),
      events_(std::make_move_iterator(events.begin()), std::make_move_iterator(events.end())) {
  std::sort(events_.begin(), events_.end(),
            [](const auto& a, const auto& b) { return a.sequence() < b.sequence(); });
  while (events_.size() > capacity_) events_.pop_front();
}

void Timeline::Add(v1::EventRecord event) {
  events_.push_back(std::move(event));
  if (events_.size() > capacity_) events_.pop_front();
  // A follower that ends while it is told takes itself out: iterators stay valid by looking up.
  for (auto it = followers_.begin(); it != followers_.end();) {
    const uint64_t id = it->first;
    const auto changed = it->second;
    changed();
    it = followers_.upper_bound(id);
  }
}

std::vector<uint64_t> Timeline::DropBefore(int64_t unix_ms) {
  std::vector<uint64_t> dropped;
  while (!events_.empty() && events_.front().time_unix_ms() < unix_ms) {
    dropped.push_back(events_.front().sequence());
    events_.pop_front();
  }
  return dropped;
}

const v1::EventRecord* Timeline::At(uint64_t sequence) const {
  const auto it = std::lower_bound(
      events_.begin(), events_.end(), sequence,
      [](const v1::EventRecord& event, uint64_t wanted) { return event.sequence() < wanted; });
  return it == events_.end() ? nullptr : &*it;
}

uint64_t Timeline::Follow(std::function<void()> changed) {
  followers_.emplace(next_follower_, std::move(changed));
  return next_follower_++;
}

void Timeline::Unfollow(uint64_t id) { followers_.erase(id); }

}  // namespace pando::controller
