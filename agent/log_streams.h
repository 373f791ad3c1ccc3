// Logs being read by the controller: answers each LogRequest with chunks until the log's end, or
// for as long as it is followed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "agent/log_reader.h"
#include "common/runtime/executor.h"
#include "pando/v1/agent.pb.h"

namespace pando::agent {

// Used on the executor. Reads only as fast as chunks are taken, so a slow reader costs no memory.
class LogStreams {
 public:
  struct Sink {
    std::function<bool()> has_room;
    std::function<void(v1::LogChunk)> send;
  };
  LogStreams(Executor& executor, Sink sink);
  ~LogStreams();

  // `instance_dir` is empty when there is no such instance here.
  void Open(const v1::LogRequest& request, const std::string& instance_dir);
  void Cancel(uint64_t request_id) { streams_.erase(request_id); }
  void CancelAll() { streams_.clear(); }
  // The instance's files are about to go: sends what is left and ends its streams.
  void Finish(const std::string& instance_dir);

 private:
  struct Stream {
    std::string instance_dir;
    LogReader reader;
    bool follow = false;
  };
  enum class Outcome { kMore, kWaiting, kEnded };

  void Pump();
  void SchedulePump(Millis delay);
  Outcome PumpOne(uint64_t id, Stream& stream);
  void SendEnd(uint64_t id, const std::string& error);

  Executor& executor_;
  Sink sink_;
  std::map<uint64_t, Stream> streams_;
  bool pump_scheduled_ = false;
  std::shared_ptr<LogStreams*> self_;  // null once destroyed, for tasks still queued
};

}  // namespace pando::agent
