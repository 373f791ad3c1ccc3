// What all workers share of one cluster beyond its endpoints' counters: the limit of requests in
// hand per instance, the requests that wait for an instance with room, how many may be retries, and
// the judges of both instances and limit. It outlives tables. Thread-safe.
//
// Requests wait in one queue for the whole proxy, first come first served: a request that finds
// others waiting joins them even if there is room just now. Whoever gives room back, or makes some
// (a new table, a higher limit), serves the queue. No wake-up is lost: a request joins the queue
// and then looks for room, room is given back and then the queue looked at, and both are
// sequentially consistent.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "common/base/time.h"
#include "proxy/core/concurrency_limit.h"
#include "proxy/core/outlier.h"
#include "proxy/core/retry.h"
#include "proxy/core/upstream_table.h"

namespace pando::proxy {

// Whether instances have slots at all. Not where requests belong to an instance: they would wait
// for it, or be sent to another, for the sake of a guess; so a limit there has to be asked for.
bool LimitsSlots(const Cluster& cluster);

class WaitingRoom {
 public:
  // How far the queue is looked through for a request that room is of use to.
  static constexpr int kLookAhead = 256;

  struct Ticket {
    uint64_t id = 0;
    size_t worker = 0;
    // What its instance is picked by, as in ClusterPicker::Context.
    std::optional<uint64_t> hash{};
    std::vector<const EndpointCounters*> tried{};
    size_t spare = 0;
  };

  uint32_t waiting() const { return waiting_.load(std::memory_order_seq_cst); }
  // False: as many as `max` wait already.
  bool Join(Ticket ticket, uint32_t max);
  // For one that was called but could not be served: it was first and still is.
  void JoinAgain(Ticket ticket);
  // For one that an instance has failed: it has had its turn, and waits behind its like only.
  void JoinToRetry(Ticket ticket);
  enum class Verdict {
    kCall,  // this one
    kPass,  // it has to wait, others need not
    kStop,  // there is nothing for anybody
  };
  // Asks of one after the other, in order; who is called has left the queue.
  std::optional<Ticket> Call(absl::FunctionRef<Verdict(const Ticket&)> judge);
  // False: it has been called already.
  bool Leave(uint64_t id);

 private:
  using Queue = std::list<Ticket>;
  void Insert(Queue::iterator before, Ticket ticket);  // with the mutex held

  std::atomic<uint32_t> waiting_{0};
  // std, not absl: the packaged absl::Mutex is invisible to ThreadSanitizer.
  std::mutex mutex_;  // guards what follows; taken only while there is a queue
  Queue queue_;
  absl::flat_hash_map<uint64_t, Queue::iterator> places_;
};

class SharedCluster {
 public:
  static constexpr Millis kCheckInterval{20};

  WaitingRoom room;
  RetryBudget retry_budget;

  // Requests an instance may have in hand; 0: any number.
  uint32_t slots() const { return slots_.load(std::memory_order_relaxed); }
  // With the cluster's own limit, if it says one.
  void SetOptions(const Cluster& cluster);

  // To be called every kCheckInterval or so while there are requests, by any worker: adapts the
  // limit, and ejects those whose success rate stands out. Returns the ejected; true in `raised`
  // when there is more room than before.
  std::vector<const EndpointCounters*> Check(const Cluster& cluster, Instant now, bool& raised);

  // No endpoint is ejected beyond this.
  Instant ejected_until() const {
    return Instant(Instant::duration(ejected_until_.load(std::memory_order_relaxed)));
  }
  void NoteEjection(const EndpointCounters& counters);

 private:
  ConcurrencyLimit::Sample Sample(const Cluster& cluster, Instant now);

  std::atomic<uint32_t> slots_{0};
  std::atomic<Instant::rep> ejected_until_{0};
  std::mutex
      check_mutex_;  // guards what follows; a worker that finds it taken leaves the check out
  bool adapts_ = false;
  ConcurrencyLimit limit_;
  // What was counted by endpoints that are gone by now stays in the sums, which only grow.
  struct Counted {
    uint64_t answered = 0;
    uint64_t service_micros = 0;
  };
  absl::flat_hash_map<const EndpointCounters*, Counted> counted_;
  Counted total_;
  SuccessRates success_rates_;
  Instant next_check_{};
};

// Takes a slot of the endpoint if fewer than `slots` are taken; any number when that is 0.
bool TryTakeSlot(EndpointCounters& counters, uint32_t slots);
inline void GiveSlotBack(EndpointCounters& counters) {
  counters.slots_taken.fetch_sub(1, std::memory_order_seq_cst);
}

}  // namespace pando::proxy
