// The data plane as its control side sees it: workers that serve by the newest table.
//
// Threads: all methods are called on the control thread. Each worker is one thread with its own
// epoll loop, its own listening sockets (SO_REUSEPORT) and its own upstream pool.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "common/base/time.h"
#include "common/runtime/unique_fd.h"
#include "proxy/core/access_log_format.h"
#include "proxy/core/traffic_stats.h"
#include "proxy/core/upstream_table.h"

namespace pando::proxy {

struct DataPlaneConfig {
  int workers = 0;                             // 0: one per CPU
  HttpLimits limits{};                         // of listeners that do not say otherwise
  Millis upstream_idle_timeout{4'000};         // below Node's keepAliveTimeout of 5 s
  size_t max_idle_upstream_per_endpoint = 64;  // per worker
  std::string access_log{};                    // file; "-" is standard output; empty: none
  AccessLogFormat access_log_format = AccessLogFormat::kJson;
};

struct CertificateReload {
  int changed = 0;                  // certificates new connections get from here on
  std::vector<std::string> errors;  // each told once; the last good certificates stay
};

// How a data plane ends: requests first, tunnels (WebSocket, for example) last.
struct DrainPlan {
  Millis requests{30'000};  // what is in flight is cut after this
  Millis tunnels{60'000};   // likewise
  // Kept connections without a request may still bring one for so long. With zero they are closed
  // at once, and a request that crosses the close fails.
  Millis idle{0};
  // The listening sockets live on in another process: who waits there is left to it.
  bool handed_over = false;
};

// All sockets that listen on one address. Whoever has one of them has to accept from it: the kernel
// spreads clients over all.
struct ListeningSockets {
  std::string address;
  uint16_t port = 0;
  std::vector<UniqueFd> fds;
};

class DataPlane {
 public:
  explicit DataPlane(DataPlaneConfig config);
  ~DataPlane();  // stops the workers at once

  absl::Status Start();

  // Binds what `listeners` names and is not bound yet. Nothing is accepted before SetTable. On
  // error ("listener default: cannot listen on 0.0.0.0:8080: address already in use") nothing has
  // changed.
  absl::Status PrepareListeners(const std::vector<Listener>& listeners);

  // Posts the table to every worker. `switched` is called, on some worker's thread, once all of
  // them use it: from then on no new request is picked by an older table. Listeners no table names
  // any more stop accepting; their connections live on until idle.
  void SetTable(std::shared_ptr<const ProxyTable> table, absl::AnyInvocable<void()> switched);

  // Called, on a worker's thread, whenever the requests in flight to an endpoint that is draining
  // (or in no table any more) reach zero. Set before Start.
  void OnDrained(std::function<void()> callback);

  // Taking over from another process: its sockets are used for listeners with their address.
  // Before PrepareListeners.
  void Inherit(std::vector<ListeningSockets> sockets);
  // Closes those that no listener asked for, and says which they were ("0.0.0.0:8080").
  std::vector<std::string> DropInherited();
  // Duplicates of what the workers listen on, to be handed to another process.
  std::vector<ListeningSockets> ShareListeners() const;

  // Stops accepting, says `Connection: close` on the next responses; `done` is called, on some
  // worker's thread, when no client is left or the plan's times are over.
  void Drain(const DrainPlan& plan, absl::AnyInvocable<void()> done);

  DataPlaneStats Stats() const;  // thread-safe

  // Reads the certificates of listeners again whose files have changed; connections there are stay.
  CertificateReload ReloadCertificates();
  std::vector<CertificateStats> Certificates() const;
  // Opens the access log's file anew, after it was moved away.
  void ReopenAccessLog();
  // New session tickets get a new key. Call it at least once a day.
  void RotateTicketKeys();
  // The keys, to be handed to the process that takes over with the sockets; secret. That one serves
  // clients whose sessions were begun here. kInvalidArgument: they are none, its own stay.
  std::string ShareTicketKeys() const;
  absl::Status InheritTicketKeys(const std::string& keys);

 private:
  class Workers;
  std::unique_ptr<Workers> workers_;
};

}  // namespace pando::proxy
