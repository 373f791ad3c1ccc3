// Decides when a change an operator made has arrived, from one ClusterView after another. Pure:
// time is an argument, nothing is read or printed.
#pragma once

#include <optional>
#include <string>

#include "common/base/time.h"
#include "ctl/exit_code.h"
#include "pando/v1/admin.pb.h"

namespace pando::ctl {

enum class Goal {
  kSettled,  // the wanted instances serve on every live proxy, and nothing else does
  kStopped,  // no instance runs
  kRemoved,  // the app is gone
};

struct WaitTarget {
  std::string app;
  std::string change;  // how the lines begin after the app's name: "2 -> 8", "r1 -> r2"
  uint64_t generation = 0;
  Goal goal = Goal::kSettled;
  // The release that is to arrive; 0: whatever is wanted by then.
  uint32_t revision = 0;
};

struct WaitPolicy {
  Millis timeout{300'000};
  // How long instances without a place must stay so, unchanged, while all others are in rotation,
  // before the answer is "not fully placed".
  Millis pending_patience{2'000};
  // The same while instances drain: they hold the room others wait for.
  Millis draining_patience{35'000};
};

class Wait {
 public:
  Wait(WaitTarget target, WaitPolicy policy, Instant start);

  // A new view of the target's app.
  void Observe(const v1::ClusterView& cluster, Instant now);
  // The controller says there is no such app.
  void ObserveGone(Instant now);
  // Time passes; call at least every 100 ms.
  void Tick(Instant now);

  // Set once, when it is decided how the wait ends.
  std::optional<ExitCode> outcome() const { return outcome_; }
  // Newest view of the app; nullptr before the first, or when the app is gone.
  const v1::AppView* app() const { return app_ ? &*app_ : nullptr; }

  // "web 2 -> 8  placed 5/8  ready 3/8  in rotation 3/8  1.2 s  <why it does not go on>"
  std::string ProgressLine(Instant now) const;
  // What ProgressLine says without the time: equal means there is no news.
  std::string ProgressText() const;
  // "web 2 -> 8  placed 8/8  ready 8/8  in rotation on 2/2 proxies  1.9 s". For outcome kOk.
  std::string ResultLine() const;
  // "web: the rollout of r3 failed: ...". For the other outcomes.
  std::string FailureLine() const;
  Millis elapsed() const { return elapsed_; }

 private:
  void End(ExitCode outcome, Instant now);
  bool Arrived() const;
  bool RolledBack() const;
  bool Replaced() const;
  bool OnlyPlacesAreMissing() const;
  bool Paused() const;
  std::string Counts() const;
  std::string Step() const;

  WaitTarget target_;
  WaitPolicy policy_;
  Instant start_;
  std::optional<v1::AppView> app_;
  bool gone_ = false;
  bool frozen_ = false;
  bool recovering_ = false;
  std::string pending_text_;  // what was pending at pending_since_
  std::optional<Instant> pending_since_;
  std::optional<ExitCode> outcome_;
  Millis elapsed_{0};
};

}  // namespace pando::ctl
