// The limit against models of apps, in virtual time: clients in a closed loop, one queue in front
// of the instances, each instance with as many requests in hand as the limit allows.
#include "proxy/core/concurrency_limit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <queue>
#include <random>
#include <vector>

namespace pando::proxy {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

// What a request does to an instance: holds its only thread, then waits for something else.
struct Work {
  int64_t busy_micros = 0;
  int64_t wait_micros = 0;
};
using App = std::function<Work(std::mt19937&)>;

struct Result {
  uint64_t answered = 0;        // in the second half
  uint32_t limit = 0;           // in the end
  uint32_t highest = 0;         // in the second half
  int64_t learned_micros = -1;  // when the limit was 2 or less for the first time
};

class Simulation {
 public:
  Simulation(App app, int instances, int clients, bool adapts)
      : app_(std::move(app)), adapts_(adapts), in_hand_(instances), free_at_(instances) {
    waiting_.resize(0);
    for (int i = 0; i < clients; ++i) waiting_.push_back(0);
  }

  Result Run(seconds duration) {
    const int64_t end = std::chrono::duration_cast<microseconds>(duration).count();
    Result result;
    Check();
    while (now_ < end) {
      Dispatch();
      if (events_.empty() || events_.top().at > next_check_) {
        now_ = next_check_;
        next_check_ += 20'000;
        Check();
        if (limit_ <= 2 && result.learned_micros < 0) result.learned_micros = now_;
        if (now_ > end / 2 && limit_ < ConcurrencyLimit::kHighest) {
          result.highest = std::max(result.highest, limit_);
        }
        continue;
      }
      const Event event = events_.top();
      events_.pop();
      now_ = event.at;
      --in_hand_[event.instance];
      ++answered_;
      service_micros_ += static_cast<uint64_t>(now_ - event.started);
      if (now_ > end / 2) ++result.answered;
      waiting_.push_back(now_);
    }
    result.limit = limit_;
    return result;
  }

 private:
  struct Event {
    int64_t at;
    int instance;
    int64_t started;
    bool operator<(const Event& other) const { return at > other.at; }
  };

  void Check() {
    if (!adapts_) return;
    ConcurrencyLimit::Sample sample;
    sample.now = Instant() + seconds(1) + microseconds(now_);
    sample.answered = answered_;
    sample.service_micros = service_micros_;
    for (const uint32_t each : in_hand_) sample.in_service += each;
    sample.instances = static_cast<uint32_t>(in_hand_.size());
    sample.waiting = static_cast<uint32_t>(waiting_.size());
    limit_ = controller_.Update(sample);
  }

  void Dispatch() {
    while (!waiting_.empty()) {
      const auto least = std::min_element(in_hand_.begin(), in_hand_.end());
      if (*least >= limit_) return;
      const int instance = static_cast<int>(least - in_hand_.begin());
      waiting_.pop_front();
      ++in_hand_[instance];
      const Work work = app_(rng_);
      const int64_t begin = std::max(now_, free_at_[instance]);
      free_at_[instance] = begin + work.busy_micros;
      events_.push({free_at_[instance] + work.wait_micros, instance, now_});
    }
  }

  App app_;
  bool adapts_;
  std::mt19937 rng_{7};
  ConcurrencyLimit controller_;
  uint32_t limit_ = ConcurrencyLimit::kHighest;
  int64_t now_ = 0;
  int64_t next_check_ = 20'000;
  uint64_t answered_ = 0;
  uint64_t service_micros_ = 0;
  std::vector<uint32_t> in_hand_;
  std::vector<int64_t> free_at_;
  std::deque<int64_t> waiting_;
  std::priority_queue<Event> events_;
};

Work Blocking(std::mt19937&) { return {5'000, 0}; }
Work Exponential(std::mt19937& rng) {
  return {static_cast<int64_t>(std::exponential_distribution<>(1.0 / 5'000)(rng)), 0};
}
Work Waiting(std::mt19937& rng) { return {100, 45'000 + static_cast<int64_t>(rng() % 10'000)}; }
// One in ten computes for long, the others mostly wait.
Work Mixed(std::mt19937& rng) {
  if (rng() % 10 == 0) return {20'000, 0};
  return {500, 20'000};
}

TEST(ConcurrencyLimitTest, FindsOneForAnAppThatDoesOneThingAtATime) {
  for (const int instances : {1, 4, 8}) {
    SCOPED_TRACE(instances);
    const Result limited = Simulation(Blocking, instances, 100, true).Run(seconds(120));
    const Result free = Simulation(Blocking, instances, 100, false).Run(seconds(120));
    EXPECT_LE(limited.limit, 2u);
    EXPECT_GE(static_cast<double>(limited.answered), 0.98 * static_cast<double>(free.answered));
  }
}

// Until then some clients starve inside the app.
TEST(ConcurrencyLimitTest, FindsItWithinSeconds) {
  const auto check = [](const App& app, int instances, int64_t micros) {
    SCOPED_TRACE(instances);
    const Result result = Simulation(app, instances, 100, true).Run(seconds(20));
    EXPECT_GE(result.learned_micros, 0);
    EXPECT_LE(result.learned_micros, micros);
  };
  for (const int instances : {1, 4, 8}) check(Blocking, instances, 4'500'000);
  // The more its times differ, the more answers it takes.
  for (const int instances : {1, 4, 8}) check(Exponential, instances, 8'000'000);
}

TEST(ConcurrencyLimitTest, DoesNotThrottleAnAppThatWaitsForOthers) {
  for (const int clients : {20, 100, 400}) {
    SCOPED_TRACE(clients);
    const Result limited = Simulation(Waiting, 4, clients, true).Run(seconds(120));
    const Result free = Simulation(Waiting, 4, clients, false).Run(seconds(120));
    EXPECT_GE(static_cast<double>(limited.answered), 0.97 * static_cast<double>(free.answered))
        << "limit " << limited.limit;
  }
}

TEST(ConcurrencyLimitTest, CostsAMixedAppLittle) {
  const Result limited = Simulation(Mixed, 4, 200, true).Run(seconds(120));
  const Result free = Simulation(Mixed, 4, 200, false).Run(seconds(120));
  EXPECT_GE(static_cast<double>(limited.answered), 0.95 * static_cast<double>(free.answered))
      << "limit " << limited.limit;
}

TEST(ConcurrencyLimitTest, FollowsAnAppThatChangesItsNature) {
  bool blocks = true;
  const App app = [&blocks](std::mt19937& rng) { return blocks ? Blocking(rng) : Waiting(rng); };
  Simulation simulation(app, 4, 200, true);
  EXPECT_LE(simulation.Run(seconds(60)).limit, 2u);
  blocks = false;
  // Sixty seconds later it is let through again: 200 clients over 4 instances.
  const Result after = simulation.Run(seconds(180));
  EXPECT_GE(after.limit, 40u);
}

TEST(ConcurrencyLimitTest, IsNeverBelowOne) {
  const App crawling = [](std::mt19937&) { return Work{400'000, 0}; };
  EXPECT_GE(Simulation(crawling, 1, 10, true).Run(seconds(300)).limit, 1u);
}

TEST(ConcurrencyLimitTest, WithoutTrafficThereIsNoLimit) {
  ConcurrencyLimit limit;
  ConcurrencyLimit::Sample sample;
  sample.instances = 2;
  for (int i = 0; i < 1'000; ++i) {
    sample.now = Instant() + seconds(1) + Millis{20} * i;
    EXPECT_EQ(limit.Update(sample), ConcurrencyLimit::kHighest);
  }
}

}  // namespace
}  // namespace pando::proxy
