#include "agent/core/supervisor.h"

#include <algorithm>
#include <iterator>
#include <set>

namespace pando::agent {

std::pair<Supervisor::Entries::iterator, bool> Supervisor::Add(Assignment assignment) {
  const AssignmentId id = assignment.id;
  return entries_.try_emplace(id, Entry{Instance{std::move(assignment)}, ++last_number_});
}

void Supervisor::Adopt(Assignment assignment, const Remains& remains, Instant now) {
  const auto [entry, is_new] = Add(std::move(assignment));
  if (is_new) entry->second.instance.Adopt(remains, now, random_());
  // Not settled: until the orders are set nobody knows what should become of it.
}

void Supervisor::SetOrders(std::vector<Assignment> wanted, Instant now, Actions& actions) {
  std::set<AssignmentId> ids;
  for (const Assignment& assignment : wanted) ids.insert(assignment.id);
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const auto next = std::next(entry);  // Settle may delete
    entry->second.instance.SetWanted(ids.contains(entry->first), actions);
    entry->second.instance.Tick(now, actions);
    Settle(entry, actions);
    entry = next;
  }
  if (halted_) return;
  for (Assignment& assignment : wanted) {
    const auto [entry, is_new] = Add(std::move(assignment));
    if (!is_new) continue;
    entry->second.instance.Begin(actions);
    Settle(entry, actions);
  }
}

void Supervisor::Halt(Instant, Actions& actions) {
  halted_ = true;
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const auto next = std::next(entry);
    entry->second.instance.Halt(actions);
    Settle(entry, actions);
    entry = next;
  }
}

void Supervisor::On(const AssignmentId& id, const InstanceEvent& event, Instant now,
                    Actions& actions) {
  const auto entry = entries_.find(id);
  if (entry == entries_.end()) return;
  entry->second.instance.On(event, now, random_(), actions);
  Settle(entry, actions);
}

void Supervisor::Tick(Instant now, Actions& actions) {
  while (!wakes_.empty() && wakes_.begin()->first.first <= now) {
    const auto entry = wakes_.begin()->second;
    wakes_.erase(wakes_.begin());
    entry->second.wake.reset();
    entry->second.instance.Tick(now, actions);
    Settle(entry, actions);
  }
}

std::optional<Instant> Supervisor::NextWake() const {
  if (wakes_.empty()) return std::nullopt;
  return wakes_.begin()->first.first;
}

const Assignment* Supervisor::Find(const AssignmentId& id) const {
  const auto entry = entries_.find(id);
  return entry == entries_.end() ? nullptr : &entry->second.instance.assignment();
}

std::vector<const Assignment*> Supervisor::Assignments() const {
  std::vector<const Assignment*> assignments;
  for (const auto& [id, entry] : entries_) assignments.push_back(&entry.instance.assignment());
  return assignments;
}

std::optional<InstanceStatus> Supervisor::StatusOf(const AssignmentId& id) const {
  const auto entry = entries_.find(id);
  if (entry == entries_.end()) return std::nullopt;
  return entry->second.instance.Status();
}

std::vector<InstanceStatus> Supervisor::Statuses() const {
  std::vector<InstanceStatus> statuses;
  for (const auto& [id, entry] : entries_) statuses.push_back(entry.instance.Status());
  return statuses;
}

bool Supervisor::idle() const {
  return std::none_of(entries_.begin(), entries_.end(),
                      [](const auto& entry) { return entry.second.instance.has_process(); });
}

void Supervisor::Settle(Entries::iterator entry, Actions& actions) {
  Instance& instance = entry->second.instance;
  const uint64_t number = entry->second.number;
  if (entry->second.wake) wakes_.erase({*entry->second.wake, number});
  entry->second.wake.reset();
  if (instance.gone()) {
    actions.push_back(Gone{entry->first});
    entries_.erase(entry);
    return;
  }
  instance.ReportChange(actions);
  entry->second.wake = instance.NextWake();
  if (entry->second.wake) wakes_.emplace(std::pair(*entry->second.wake, number), entry);
}

}  // namespace pando::agent
