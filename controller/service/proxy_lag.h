// How long each proxy has been without a table that was published. Pure; used on the loop.
//
// A proxy is behind in an app from the moment a table is published that it has not acknowledged
// until it acknowledges that one or a later one; its lag is the time it is behind in the app it is
// behind in longest.
#pragma once

#include <map>
#include <optional>

#include "common/base/ids.h"
#include "common/base/time.h"
#include "controller/core/cluster.h"

namespace pando::controller {

class ProxyLag {
 public:
  void Published(const AppId& app, uint64_t generation, Instant now);
  void Removed(const AppId& app);
  // A new session: it may be another process, so nothing is acknowledged.
  void Connected(const ProxyId& proxy, Instant now);
  void Acked(const ProxyId& proxy, const AppId& app, uint64_t generation);
  // Those that are not among the cluster's any more are forgotten.
  void Keep(const std::vector<ProxyStatus>& proxies);

  // Zero: it runs the newest table of every app.
  Millis Of(const ProxyId& proxy, Instant now) const;
  // Since the app's newest table was published; nullopt: none was.
  std::optional<Millis> TableAge(const AppId& app, Instant now) const;

 private:
  struct Table {
    uint64_t generation = 0;
    Instant at;
  };
  std::map<AppId, Table> tables_;
  std::map<ProxyId, std::map<AppId, Instant>> behind_since_;
};

}  // namespace pando::controller
