// Asks the instances that have a page for Prometheus how long work waits for their event loops.
//
// Each is asked every few seconds, at a time of its own, and never while it still owes an answer.
// What it said counts until it is asked again and a few times more without an answer.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "agent/core/event_loop_delay.h"
#include "agent/page_fetch.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/runtime/executor.h"

namespace pando::agent {

struct DelayWatchPolicy {
  Millis interval{5'000};
  Millis rare{60'000};  // in place of it for a page that says nothing of an event loop
  int most_at_once = 16;
  int forget_after = 3;  // asked so often in vain
};

// Used on the loop.
class DelayWatch {
 public:
  struct Subject {
    AssignmentId id;
    uint32_t incarnation = 0;
    uint16_t port = 0;
    std::string path;

    bool operator==(const Subject&) const = default;
  };
  // As FetchPage.
  using Fetch = std::function<void(const Subject&, PageDone)>;

  // `asked` is told of each page whether it could be read. `loop` outlives it; `seed` is random.
  DelayWatch(Executor& loop, Fetch fetch, std::function<void(bool read)> asked, uint64_t seed,
             DelayWatchPolicy policy = {})
      : loop_(loop),
        fetch_(std::move(fetch)),
        asked_(std::move(asked)),
        random_(seed),
        policy_(policy) {}

  // Whom to ask from now on. Cheap when they are the same as before.
  void Watch(const std::vector<Subject>& subjects);
  // Nothing when it has not said anything, or not lately.
  std::optional<EventLoopDelay> Of(const AssignmentId& id, uint32_t incarnation) const;

 private:
  struct Entry {
    Subject subject;
    uint64_t number = 0;  // tells it from another of the same id
    std::optional<EventLoopDelay> delay;
    int in_vain = 0;
  };

  void AskAfter(const Entry& entry, Millis delay);
  void Ask(const AssignmentId& id, uint64_t number);
  void OnPage(const AssignmentId& id, uint64_t number, const absl::StatusOr<std::string>& page);
  Entry* Find(const AssignmentId& id, uint64_t number);
  // Between these shares of it.
  Millis Share(Millis of, double least, double most);

  Executor& loop_;
  const Fetch fetch_;
  const std::function<void(bool read)> asked_;
  std::mt19937_64 random_;
  const DelayWatchPolicy policy_;
  std::map<AssignmentId, Entry> entries_;
  uint64_t next_number_ = 1;
  int running_ = 0;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace pando::agent
