// Kept connections to instances, last used first. They stay registered with the poller while idle,
// so that a close by the instance is noticed when it happens, not when the next request fails.
//
// Belongs to one worker. Hosts are known by their counters, which outlive tables: a table change
// touches only the connections of instances that left.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "proxy/core/idle_limit.h"
#include "proxy/core/suspicion.h"
#include "proxy/core/upstream_table.h"
#include "proxy/net/counters.h"
#include "proxy/net/poller.h"
#include "proxy/net/socket.h"

namespace pando::proxy {

class Exchange;
class UpstreamConnection;
class UpstreamPool;

// An instance as one worker knows it.
struct UpstreamHost {
  std::shared_ptr<EndpointCounters> counters;
  SocketAddress address;
  bool pickable = false;  // by the worker's current table
  size_t users = 0;       // connections and requests that refer to this
  Suspicion suspicion;
  uint32_t unanswered = 0;     // attempts of this worker that wait for a response to begin
  Instant last_answer_seen{};  // see Worker::AvoidStalled
  Instant silent_since{};
  IdleLimit idle_limit;
  std::string instance;                     // what `stats` is of
  std::string assignment;                   // likewise
  std::shared_ptr<InstanceCounters> stats;  // set with the first table it is in
  std::vector<UpstreamConnection*> idle;    // the last is the most recently used
};

class UpstreamConnection final : public EventSource, public Timer {
 public:
  UpstreamConnection(UpstreamPool& pool, UpstreamHost& host, UniqueFd fd)
      : stream(std::move(fd)), pool_(pool), host_(host) {}

  void OnReady(uint32_t epoll_events) override;
  void OnTimer() override;

  UpstreamHost& host() { return host_; }
  bool connecting() const { return connecting_; }
  bool reused() const { return reused_; }
  bool timed_out() const { return timed_out_; }
  void ForgetTimeout() { timed_out_ = false; }
  // nullopt: not known yet; otherwise whether the connection stands.
  std::optional<bool> ConnectResult();
  // Adds what was sent and received since the last call to the instance's counters.
  void CountBytes();

  Stream stream;
  Exchange* exchange = nullptr;  // null: idle

 private:
  friend class UpstreamPool;
  UpstreamPool& pool_;
  UpstreamHost& host_;
  bool connecting_ = false;
  bool connect_answered_ = false;
  bool reused_ = false;
  bool timed_out_ = false;
  Instant idle_since_{};
  uint64_t sent_counted_ = 0;
  uint64_t received_counted_ = 0;
};

class UpstreamPool {
 public:
  UpstreamPool(Poller& poller, Millis idle_timeout, size_t max_idle_per_host)
      : poller_(poller), idle_timeout_(idle_timeout), max_idle_per_host_(max_idle_per_host) {}
  ~UpstreamPool();

  // Between BeginTable and EndTable every endpoint that may be picked by the new table is looked up
  // by HostOf; the idle connections of all others are closed.
  void BeginTable();
  UpstreamHost* HostOf(const Endpoint& endpoint);
  void EndTable();

  // An idle connection, or null.
  UpstreamConnection* Take(UpstreamHost& host, Exchange& exchange);
  // Starts connecting; the answer may come at once, or as an event.
  absl::StatusOr<UpstreamConnection*> Connect(UpstreamHost& host, Exchange& exchange,
                                              Millis timeout);
  // Keeps the connection for the next request. `app_limit` is what the instance announced.
  void Release(UpstreamConnection& connection, std::optional<Millis> app_limit);
  void Close(UpstreamConnection& connection);
  void CloseAllIdle();

  void AddUser(UpstreamHost& host) { ++host.users; }
  void RemoveUser(UpstreamHost& host);

  Poller& poller() { return poller_; }

 private:
  void CloseIdle(UpstreamHost& host);
  void ForgetIfUnused(UpstreamHost& host);

  Poller& poller_;
  Millis idle_timeout_;
  size_t max_idle_per_host_;
  absl::flat_hash_map<const EndpointCounters*, std::unique_ptr<UpstreamHost>> hosts_;
  absl::flat_hash_map<UpstreamConnection*, std::unique_ptr<UpstreamConnection>> connections_;
};

}  // namespace pando::proxy
