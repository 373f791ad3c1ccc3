// Listening sockets: bound on the control thread, where errors can be told, and served by workers.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/core/upstream_table.h"
#include "proxy/net/poller.h"
#include "proxy/net/socket.h"

namespace pando::proxy {

class Worker;
struct ListenerState;

using ListenAddress = std::pair<std::string, uint16_t>;
std::string Spell(const ListenAddress& address);  // "127.0.0.1:80", "[::1]:80"

// `count` sockets that share the address among them (SO_REUSEPORT) and listen. Another process on
// the address is an error even if it shares, too: two proxies would silently halve the traffic.
// `shared` says that this process has the port already, under another address.
absl::StatusOr<std::vector<UniqueFd>> OpenListener(const Listener& listener, int count,
                                                   bool shared);

// Accepts in batches. Out of descriptors, it pauses, longer each time in a row: clients wait in the
// backlog, where they cost nothing, until connections have been closed.
class AcceptSource final : public EventSource, public Timer {
 public:
  AcceptSource(Worker& worker, const ListenerState& listener, UniqueFd fd);

  absl::Status Start();
  void OnReady(uint32_t epoll_events) override;
  void OnTimer() override;
  // Closes the socket, and first takes those who wait there unless another process will.
  void Stop(bool take_waiting);

 private:
  // False when descriptors ran out.
  bool AcceptBatch(int limit);
  void Pause();

  Worker& worker_;
  const ListenerState& listener_;
  UniqueFd fd_;
  Millis next_pause_;
  // Asking for one client more than there is costs a system call, so what is asked for grows only
  // while clients wait; the event comes again as long as they do.
  int batch_ = 1;
};

}  // namespace pando::proxy
