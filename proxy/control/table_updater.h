// From xDS updates to tables the workers run, and back to the ACKs.
//
//   update -> decode and validate -> bind new listeners -> table -> all workers switched -> ACK
//
// A response with anything in it that cannot be honoured is refused whole (NACK) and the last good
// resources stay. Updates that arrive during a switch go together into the next table. A listener
// whose address is taken is refused too, yet kept and tried again every second, so that it comes up
// by itself once the address is free.
//
// Threads: everything on `loop`. The data plane's `switched` comes from a worker and is posted.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/runtime/executor.h"
#include "proxy/core/table_builder.h"
#include "proxy/core/xds_subscription.h"
#include "proxy/net/data_plane.h"

namespace pando::proxy {

class TableUpdater {
 public:
  struct Hooks {
    std::function<void(const XdsRequest&)> send;                      // while connected
    std::function<void(std::shared_ptr<const ProxyTable>)> switched;  // all workers run it
    std::function<void(const XdsSnapshot&)> save;                     // at most ten times a second
  };
  enum class Source { kNone, kFile, kController };

  // `loop` and `data_plane` outlive it.
  TableUpdater(Executor& loop, DataPlane& data_plane);
  void SetHooks(Hooks hooks) { hooks_ = std::move(hooks); }

  // The resources of an earlier run; those that cannot be honoured are left out. Before the first
  // connection.
  void Restore(const XdsSnapshot& snapshot);

  // The first requests of a stream are sent only once no switch is under way: naming a version in
  // them says that it is running.
  void OnConnected();
  void OnDisconnected();
  void OnUpdate(const XdsUpdate& update);
  // Answers `update` with a NACK; nothing of it is taken.
  void Refuse(const XdsUpdate& update, const absl::Status& reason);

  // The last good resources.
  const XdsSnapshot& snapshot() const { return subscription_.snapshot(); }
  // What all workers run; null before the first one.
  const std::shared_ptr<const ProxyTable>& table() const { return table_; }
  Source source() const { return source_; }
  // Listeners that wait for their address: name -> why.
  std::map<std::string, std::string> ListenErrors() const;
  uint64_t nacks_total() const { return nacks_total_; }

 private:
  struct Decoded {
    std::vector<ClusterSpec> clusters;
    std::vector<std::pair<std::string, std::vector<Endpoint>>> endpoints;
    std::vector<Listener> listeners;
    std::vector<RouteTable> routes;
  };
  struct Deferred {
    XdsResource resource;
    std::string error;
  };

  absl::StatusOr<Decoded> Decode(const XdsUpdate& update) const;
  // Listeners only: binds them. On error they are to be tried again.
  absl::Status Bind(const XdsUpdate& update, const Decoded& decoded);
  XdsReceipt Commit(const XdsUpdate& update, Decoded decoded);
  void Apply();
  void OnSwitched(std::shared_ptr<const ProxyTable> table);
  void SendFirstRequests();
  void SaveSoon();
  void RetrySoon();
  void RetryListeners();
  void Send(const std::vector<XdsRequest>& requests);
  // Runs `task` on the loop unless this object is gone by then.
  void After(Millis delay, std::function<void()> task);

  Executor& loop_;
  DataPlane& data_plane_;
  Hooks hooks_;
  XdsSubscription subscription_;
  TableBuilder builder_;
  std::shared_ptr<const ProxyTable> table_;
  Source source_ = Source::kNone;
  uint64_t last_version_ = 0;
  bool dirty_ = false;      // accepted, in no table yet
  bool switching_ = false;  // a table is with the workers
  bool connect_waits_ = false;
  std::vector<XdsReceipt> accepted_;            // to be acknowledged with the next table
  std::vector<XdsReceipt> in_switch_;           // ... with the one under way
  std::map<std::string, Deferred> deferred_;    // refused listeners, tried again
  std::map<std::string, std::string> unbound_;  // accepted listeners without their address: why
  bool retry_scheduled_ = false;
  bool save_scheduled_ = false;
  Instant last_save_{};
  uint64_t nacks_total_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace pando::proxy
