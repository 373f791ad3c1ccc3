// Makes probes by connection, hundreds in a second: waits for their sockets in an epoll set of its
// own, which the loop waits for as a whole. That takes one system call per socket, since closing it
// ends the waiting, where the loop would take four.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "agent/connection_probe.h"
#include "agent/probe_answer.h"
#include "common/base/time.h"
#include "common/runtime/event_loop.h"

namespace pando::agent {

// Used on the loop.
class ConnectionProber {
 public:
  explicit ConnectionProber(EventLoop& loop);

  // `done` is called once, within the policy's timeout, and never before this returns; not at all
  // once this is gone.
  void Probe(const ProbePolicy& policy, ConnectionProbe::Endpoints endpoints, ProbeDone done);

 private:
  using Wait = ConnectionProbe::Wait;
  struct Entry {
    ConnectionProbe probe;
    ProbeDone done;
    Instant deadline;
    int watched = 0;  // which of its sockets is in the set, and what for
    Wait watched_for = Wait::kNothing;
  };

  bool Open();
  // After each step: keeps the set and the entries right. Returns the call of `done` that is due.
  std::function<void()> Settle(uint64_t id, Entry& entry, Wait wait);
  bool Watch(uint64_t id, Entry& entry, Wait wait);
  void AwaitEvents();
  void OnEvents();
  void AwaitDeadline();
  void OnDeadline();

  EventLoop& loop_;
  boost::asio::posix::stream_descriptor set_;
  boost::asio::steady_timer timer_;
  std::optional<Instant> timer_at_;
  std::set<std::pair<Instant, uint64_t>> deadlines_;
  std::unordered_map<uint64_t, std::unique_ptr<Entry>> entries_;
  uint64_t last_id_ = 0;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace pando::agent
