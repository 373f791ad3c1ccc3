// The access log: workers put records into rings of their own, one thread turns them into lines.
//
// A worker never waits: a record that does not fit is dropped and counted. The file is opened for
// appending, so it may be truncated, or renamed and then reopened, at any time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/core/access_log_format.h"
#include "proxy/net/counters.h"
#include "proxy/net/socket.h"

namespace pando::proxy {

// A record whose time is still that of the worker's clock.
struct AccessEntry {
  AccessRecord record;  // `ended` is left to the log
  Instant ended{};
};

// A queue of entries between one writer and one reader, in a fixed number of bytes.
class AccessRing {
 public:
  // A power of two.
  explicit AccessRing(size_t bytes);

  // The writer's thread. False: there is no room. Long texts are cut.
  bool Put(const AccessEntry& entry);
  bool half_full() const;
  // The reader's thread. The entry's texts are valid until the next call; false: it is empty.
  bool Take(AccessEntry& entry);

 private:
  void Copy(size_t at, const void* from, size_t size);
  void CopyOut(size_t at, void* to, size_t size) const;

  const size_t mask_;
  std::unique_ptr<char[]> bytes_;
  std::string taken_;
  alignas(64) std::atomic<size_t> written_{0};
  alignas(64) std::atomic<size_t> read_{0};
};

class AccessLog {
 public:
  // `path` "-" is standard output. `rings`: one per worker. Error: "cannot open /x/y: ...".
  static absl::StatusOr<std::unique_ptr<AccessLog>> Open(const std::string& path,
                                                         AccessLogFormat format, size_t rings);
  ~AccessLog();  // writes what is left
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  // On the thread of that worker.
  void Put(size_t ring, const AccessEntry& entry);
  // Thread-safe: opens the path anew, soon; when that fails the old file stays.
  void Reopen();

  uint64_t dropped_total() const;  // thread-safe, as is the next
  uint64_t lines_total() const { return lines_.value(); }

 private:
  AccessLog(std::string path, AccessLogFormat format, size_t rings, UniqueFd file);

  void Run();
  void OpenAnew();
  bool TakeLines(std::string& lines, uint64_t& count);
  void Write(const std::string& lines, uint64_t count);

  struct Worker {
    explicit Worker(size_t bytes) : ring(bytes) {}
    AccessRing ring;
    Counter dropped;
  };

  const std::string path_;
  const AccessLogFormat format_;
  std::vector<std::unique_ptr<Worker>> workers_;
  UniqueFd file_;  // the thread's own
  bool failing_ = false;
  Counter lines_;
  Counter unwritten_;
  std::mutex mutex_;
  std::condition_variable due_;
  bool reopen_ = false;  // by mutex_, as the next two
  bool closing_ = false;
  bool hurry_ = false;
  std::thread thread_;
};

}  // namespace pando::proxy
