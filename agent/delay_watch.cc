#include "agent/delay_watch.h"

#include <set>
#include <utility>

namespace pando::agent {

void DelayWatch::Watch(const std::vector<Subject>& subjects) {
  std::set<AssignmentId> present;
  for (const Subject& subject : subjects) {
    present.insert(subject.id);
    Entry& entry = entries_[subject.id];
    if (entry.number != 0 && entry.subject == subject) continue;
    entry = {subject, next_number_++, std::nullopt, 0};
    // Those of an agent that has just started are not to be asked all at once.
    AskAfter(entry, Share(policy_.interval, 0, 1));
  }
  std::erase_if(entries_, [&](const auto& entry) { return !present.contains(entry.first); });
}

std::optional<EventLoopDelay> DelayWatch::Of(const AssignmentId& id, uint32_t incarnation) const {
  const auto found = entries_.find(id);
  if (found == entries_.end() || found->second.subject.incarnation != incarnation) {
    return std::nullopt;
  }
  return found->second.delay;
}

void DelayWatch::AskAfter(const Entry& entry, Millis delay) {
  loop_.RunAfter(delay, [this, alive = std::weak_ptr<char>(alive_), id = entry.subject.id,
                         number = entry.number] {
    if (!alive.expired()) Ask(id, number);
  });
}

void DelayWatch::Ask(const AssignmentId& id, uint64_t number) {
  const Entry* const entry = Find(id, number);
  if (entry == nullptr) return;
  if (running_ >= policy_.most_at_once) return AskAfter(*entry, Share(policy_.interval, 0.1, 0.3));
  ++running_;
  fetch_(entry->subject, [this, alive = std::weak_ptr<char>(alive_), id,
                          number](const absl::StatusOr<std::string>& page) {
    if (!alive.expired()) OnPage(id, number, page);
  });
}

void DelayWatch::OnPage(const AssignmentId& id, uint64_t number,
                        const absl::StatusOr<std::string>& page) {
  --running_;
  asked_(page.ok());
  Entry* const entry = Find(id, number);
  if (entry == nullptr) return;
  Millis pause = policy_.interval;
  if (page.ok()) {
    const EventLoopDelay delay = ReadEventLoopDelay(*page);
    entry->in_vain = 0;
    entry->delay.reset();
    if (delay.empty()) {
      pause = policy_.rare;
    } else {
      entry->delay = delay;
    }
  } else if (++entry->in_vain >= policy_.forget_after) {
    entry->delay.reset();
  }
  AskAfter(*entry, Share(pause, 0.9, 1.1));
}

DelayWatch::Entry* DelayWatch::Find(const AssignmentId& id, uint64_t number) {
  const auto found = entries_.find(id);
  return found == entries_.end() || found->second.number != number ? nullptr : &found->second;
}

Millis DelayWatch::Share(Millis of, double least, double most) {
  const double unit = static_cast<double>(random_() >> 11) / static_cast<double>(uint64_t{1} << 53);
  return std::chrono::duration_cast<Millis>(of * (least + unit * (most - least)));
}

}  // namespace pando::agent
