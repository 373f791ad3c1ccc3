// A DataPlane without workers, linked in place of pando_proxy_net: tests decide when "all workers"
// have switched and which addresses are taken. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "proxy/net/data_plane.h"

namespace pando::proxy {

class FakeDataPlane {
 public:
  FakeDataPlane();
  static FakeDataPlane& Of(const DataPlane& data_plane);

  // By default a table is switched to at once; held, when FinishSwitch is called.
  void HoldSwitches(bool hold);
  void FinishSwitch();
  bool SwitchPending() const;
  void SetTaken(const std::string& address, bool taken);  // "127.0.0.1:80"
  void FireDrained();
  // By default: three requests of cluster "web", two of them answered by web.1.
  void SetStats(DataPlaneStats stats);

  std::shared_ptr<const ProxyTable> table() const;  // the newest one set
  size_t tables_set() const;
  size_t prepare_calls() const;

 private:
  friend class DataPlane;
  mutable std::mutex mutex_;  // TSan sees nothing of the packaged Abseil's
  bool hold_ = false;
  std::vector<absl::AnyInvocable<void()>> switches_;
  std::set<std::string> taken_;
  std::vector<std::shared_ptr<const ProxyTable>> tables_;
  size_t prepare_calls_ = 0;
  DataPlaneStats stats_;
  std::function<void()> on_drained_;
};

}  // namespace pando::proxy
