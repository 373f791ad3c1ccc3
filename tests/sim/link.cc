#include "tests/sim/link.h"

#include <algorithm>
#include <utility>

namespace pando::sim {

void Link::Send(End to, const std::function<void()>& deliver) {
  if (!alive_) return;
  const Millis delay = random_.Percent(5) ? random_.Between(50, 400) : random_.Between(0, 10);
  next_[to] = std::max(next_[to], executor_.Now() + delay);
  const auto wait = std::chrono::duration_cast<Millis>(next_[to] - executor_.Now());
  const int times = random_.Percent(2) ? 2 : 1;
  for (int i = 0; i < times; ++i) {
    executor_.RunAfter(wait,
                       [self = shared_from_this(), to, deliver] { self->Deliver(to, deliver); });
  }
}

void Link::Deliver(End to, const std::function<void()>& deliver) {
  if (!alive_) return;
  if (to == kClient || executor_.Now() >= server_hangs_until_) return deliver();
  const auto wait = std::chrono::ceil<Millis>(server_hangs_until_ - executor_.Now());
  // All that waits is read in the order in which it came.
  executor_.RunAfter(wait, [self = shared_from_this(), deliver] {
    if (self->alive_) deliver();
  });
}

void Link::Close(bool client_knows, bool server_knows) {
  if (!alive_) return;
  alive_ = false;
  const bool knows[2] = {client_knows, server_knows};
  for (const End end : {kClient, kServer}) {
    auto closed = std::exchange(closed_[end], nullptr);
    if (knows[end] || !closed) continue;
    // A reset is noticed at once, a silent partition only by missing keepalives.
    const Millis delay = random_.Percent(70) ? random_.Between(0, 20) : random_.Between(200, 3'000);
    executor_.RunAfter(delay,
                       [self = shared_from_this(), closed = std::move(closed)] { closed(); });
  }
}

}  // namespace pando::sim
