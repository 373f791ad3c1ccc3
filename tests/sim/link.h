// One ordered connection between a client (agent or proxy) and the controller. Messages arrive in
// order and late, some of them twice, and those to a controller that hangs when it is awake again.
// When the link breaks, what is under way is lost and each end learns of it later, by itself.
// Different links are not ordered to each other.
#pragma once

#include <functional>
#include <memory>

#include "common/runtime/executor.h"
#include "tests/sim/sim_random.h"

namespace pando::sim {

class Link : public std::enable_shared_from_this<Link> {
 public:
  enum End { kClient, kServer };

  // `server_hangs_until` outlives the link.
  Link(Executor& executor, SimRandom& random, const Instant& server_hangs_until)
      : executor_(executor), random_(random), server_hangs_until_(server_hangs_until) {}

  // Called once, when that end notices that the link is gone.
  void OnClosed(End end, std::function<void()> closed) { closed_[end] = std::move(closed); }
  void Send(End to, const std::function<void()>& deliver);
  void Break() { Close({}, {}); }
  // That end died or hung up: it is not told.
  void CloseBy(End end) { Close(end == kClient, end == kServer); }

 private:
  void Close(bool client_knows, bool server_knows);
  void Deliver(End to, const std::function<void()>& deliver);

  Executor& executor_;
  SimRandom& random_;
  const Instant& server_hangs_until_;
  bool alive_ = true;
  Instant next_[2] = {};
  std::function<void()> closed_[2];
};

}  // namespace pando::sim
