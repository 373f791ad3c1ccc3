// The last good resources on disk: what a proxy serves by when it starts without a controller.
//
// Format: a line "pando-proxy-table 1 <content hash>\n", then a serialized
// envoy.service.discovery.v3.DeltaDiscoveryResponse with every resource (name, version, Any).
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/statusor.h"
#include "proxy/core/xds_subscription.h"

namespace pando::proxy {

std::string SerializeSnapshot(const XdsSnapshot& snapshot);
// kDataLoss says what is wrong with the bytes.
absl::StatusOr<XdsSnapshot> ParseSnapshot(std::string_view bytes);

// Writes on a thread of its own, as fsync may take long; the newest snapshot replaces one that is
// not written yet. Save and Load are called on one thread.
class TableFile {
 public:
  explicit TableFile(std::string path);
  ~TableFile() { Close(); }
  TableFile(const TableFile&) = delete;
  TableFile& operator=(const TableFile&) = delete;

  // Empty when there is no file. A file that cannot be used is reported in the log and ignored.
  XdsSnapshot Load() const;
  // Cheap when nothing changed since the last one.
  void Save(const XdsSnapshot& snapshot);
  // Writes what is waiting, and nothing after that: the file is another process's now.
  void Close();

 private:
  void Run();

  const std::string path_;
  std::optional<XdsSnapshot> last_;
  // The standard ones: TSan sees nothing of the packaged Abseil's.
  std::mutex mutex_;
  std::condition_variable due_;
  std::optional<XdsSnapshot> waiting_;  // by mutex_
  bool closing_ = false;                // by mutex_
  std::thread writer_;
};

}  // namespace pando::proxy
