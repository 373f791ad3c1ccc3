#include "proxy/net/shared_cluster.h"

#include <algorithm>
#include <utility>

namespace pando::proxy {

bool LimitsSlots(const Cluster& cluster) {
  switch (cluster.concurrency.kind) {
    case Concurrency::Kind::kFixed:
      return true;
    case Concurrency::Kind::kUnlimited:
      return false;
    case Concurrency::Kind::kAuto:
      break;
  }
  return cluster.lb_policy != LbPolicy::kRingHash && cluster.lb_policy != LbPolicy::kMaglev &&
         cluster.lb_policy != LbPolicy::kSticky;
}

void WaitingRoom::Insert(Queue::iterator before, Ticket ticket) {
  const uint64_t id = ticket.id;
  places_.emplace(id, queue_.insert(before, std::move(ticket)));
  waiting_.fetch_add(1, std::memory_order_seq_cst);
}

bool WaitingRoom::Join(Ticket ticket, uint32_t max) {
  const std::lock_guard lock(mutex_);
  if (queue_.size() >= max) return false;
  Insert(queue_.end(), std::move(ticket));
  return true;
}

void WaitingRoom::JoinAgain(Ticket ticket) {
  const std::lock_guard lock(mutex_);
  Insert(queue_.begin(), std::move(ticket));
}

void WaitingRoom::JoinToRetry(Ticket ticket) {
  const std::lock_guard lock(mutex_);
  const auto first_try =
      std::ranges::find_if(queue_, [](const Ticket& t) { return t.tried.empty(); });
  Insert(first_try, std::move(ticket));
}

std::optional<WaitingRoom::Ticket> WaitingRoom::Call(
    absl::FunctionRef<Verdict(const Ticket&)> judge) {
  const std::lock_guard lock(mutex_);
  int seen = 0;
  for (auto at = queue_.begin(); at != queue_.end() && seen < kLookAhead; ++at, ++seen) {
    switch (judge(*at)) {
      case Verdict::kCall: {
        Ticket called = std::move(*at);
        queue_.erase(at);
        places_.erase(called.id);
        waiting_.fetch_sub(1, std::memory_order_seq_cst);
        return called;
      }
      case Verdict::kPass:
        break;
      case Verdict::kStop:
        return std::nullopt;
    }
  }
  return std::nullopt;
}

bool WaitingRoom::Leave(uint64_t id) {
  const std::lock_guard lock(mutex_);
  const auto place = places_.find(id);
  if (place == places_.end()) return false;
  queue_.erase(place->second);
  places_.erase(place);
  waiting_.fetch_sub(1, std::memory_order_seq_cst);
  return true;
}

void SharedCluster::SetOptions(const Cluster& cluster) {
  const std::lock_guard lock(check_mutex_);
  const bool adapts = cluster.concurrency.kind == Concurrency::Kind::kAuto && LimitsSlots(cluster);
  if (adapts && !std::exchange(adapts_, true)) limit_ = ConcurrencyLimit();
  if (!adapts) {
    adapts_ = false;
    slots_.store(cluster.concurrency.kind == Concurrency::Kind::kFixed ? cluster.concurrency.limit
                                                                       : 0);
  } else {
    slots_.store(limit_.limit() >= ConcurrencyLimit::kHighest ? 0 : limit_.limit());
  }
}

ConcurrencyLimit::Sample SharedCluster::Sample(const Cluster& cluster, Instant now) {
  ConcurrencyLimit::Sample sample;
  absl::flat_hash_map<const EndpointCounters*, Counted> counted;
  for (const Endpoint& endpoint : cluster.endpoints) {
    const EndpointCounters& counters = *endpoint.counters;
    const Counted seen{counters.answered.load(std::memory_order_relaxed),
                       counters.service_micros.load(std::memory_order_relaxed)};
    const auto before = counted_.find(&counters);
    if (before != counted_.end()) {
      // An address that came back has new counters, possibly where the old ones were.
      total_.answered += seen.answered - std::min(seen.answered, before->second.answered);
      total_.service_micros +=
          seen.service_micros - std::min(seen.service_micros, before->second.service_micros);
    }
    counted.emplace(&counters, seen);
    if (endpoint.health == EndpointHealth::kDraining) continue;
    ++sample.instances;
    sample.in_service += counters.slots_taken.load(std::memory_order_relaxed);
  }
  counted_ = std::move(counted);
  sample.now = now;
  sample.answered = total_.answered;
  sample.service_micros = total_.service_micros;
  sample.waiting = room.waiting();
  return sample;
}

std::vector<const EndpointCounters*> SharedCluster::Check(const Cluster& cluster, Instant now,
                                                          bool& raised) {
  std::vector<const EndpointCounters*> ejected;
  const std::unique_lock lock(check_mutex_, std::try_to_lock);
  if (!lock.owns_lock() || now < next_check_) return ejected;
  next_check_ = now + kCheckInterval;
  if (adapts_) {
    const uint32_t limit = limit_.Update(Sample(cluster, now));
    const uint32_t slots = limit >= ConcurrencyLimit::kHighest ? 0 : limit;
    const uint32_t before = slots_.exchange(slots);
    raised = before != 0 && (slots == 0 || slots > before);
  }
  for (EndpointCounters* counters : success_rates_.Sweep(cluster, now)) {
    if (!Eject(cluster, *counters, now)) continue;
    NoteEjection(*counters);
    ejected.push_back(counters);
  }
  return ejected;
}

void SharedCluster::NoteEjection(const EndpointCounters& counters) {
  const int64_t until = counters.ejected_until.load(std::memory_order_relaxed);
  Instant::rep known = ejected_until_.load(std::memory_order_relaxed);
  while (known < until && !ejected_until_.compare_exchange_weak(known, until)) {
  }
}

bool TryTakeSlot(EndpointCounters& counters, uint32_t slots) {
  if (slots == 0) {
    counters.slots_taken.fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  uint32_t taken = counters.slots_taken.load(std::memory_order_seq_cst);
  while (taken < slots) {
    if (counters.slots_taken.compare_exchange_weak(taken, taken + 1)) return true;
  }
  return false;
}

}  // namespace pando::proxy
