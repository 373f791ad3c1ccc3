// A DataPlane without workers, linked in place of pando_proxy_net: tests decide when "all workers"
// have switched and which addresses are taken. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"
#include "proxy/net/data_plane.h"

namespace pando::proxy {

class FakeDataPlane {
 public:
  static FakeDataPlane& Of(const DataPlane& data_plane);

  // By default a table is switched to at once; held, when FinishSwitch is called.
  void HoldSwitches(bool hold);
  void FinishSwitch();
  bool SwitchPending() const;
  void SetTaken(const std::string& address, bool taken);  // "127.0.0.1:80"
  void FireDrained();

  std::shared_ptr<const ProxyTable> table() const;  // the newest one set
  size_t tables_set() const;
  size_t prepare_calls() const;

 private:
  friend class DataPlane;
  mutable absl::Mutex mutex_;
  bool hold_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<absl::AnyInvocable<void()>> switches_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> taken_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<const ProxyTable>> tables_ ABSL_GUARDED_BY(mutex_);
  size_t prepare_calls_ ABSL_GUARDED_BY(mutex_) = 0;
  std::function<void()> on_drained_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace pando::proxy
