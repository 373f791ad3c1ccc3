// Logs being read by the controller: answers each LogRequest with chunks until the log's end, or
// for as long as it is followed.
//
// A request asks for one chunk of lines; asking again under the same number asks for the next one.
// So nothing is read that nobody waits for, and a slow reader costs no memory: it is served from
// the files at its own pace, and misses only what is rotated away meanwhile, which a line tells.
// One who follows is sent an empty chunk, unasked, when it has had all there is for now.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "agent/log_reader.h"
#include "common/base/time.h"
#include "common/runtime/executor.h"
#include "pando/v1/agent.pb.h"

namespace pando::agent {

// Used on the executor.
class LogStreams {
 public:
  struct Sink {
    std::function<bool()> has_room;
    std::function<void(v1::LogChunk)> send;
  };
  LogStreams(Executor& executor, Sink sink);
  ~LogStreams();

  // `instance_dir` is empty when there is no such instance here; `earlier_dir` is where the log of
  // the slot's assignment before may be.
  void Open(const v1::LogRequest& request, const std::string& instance_dir,
            const std::string& earlier_dir);
  void Cancel(uint64_t request_id) { streams_.erase(request_id); }
  void CancelAll() { streams_.clear(); }
  // The instance's files are about to go: its streams end when what is in them was sent.
  void Finish(const std::string& instance_dir);

 private:
  struct Stream {
    std::string instance_dir;
    LogReader reader;
    bool follow = false;
    uint32_t asked = 1;     // chunks to send
    bool told_all = false;  // that there is nothing more for now
  };
  enum class Outcome { kMore, kWaiting, kNotAsked, kEnded };

  void Pump();
  void SchedulePump(Millis delay);
  Outcome PumpOne(uint64_t id, Stream& stream);
  void SendEnd(uint64_t id, const std::string& error);

  Executor& executor_;
  Sink sink_;
  std::map<uint64_t, Stream> streams_;
  uint64_t next_ = 0;  // whose turn it is, or the one after it
  std::optional<Instant> pump_at_;
  uint64_t pump_number_ = 0;           // of the pump that counts: earlier ones were replaced
  std::shared_ptr<LogStreams*> self_;  // null once destroyed, for tasks still queued
};

}  // namespace pando::agent
