#include "agent/log_streams.h"

#include <utility>
#include <vector>

namespace pando::agent {
namespace {

constexpr size_t kMaxLines = 500;  // in a chunk
constexpr size_t kMaxBytes = 128 * 1024;
constexpr size_t kMaxStreams = 256;
constexpr Millis kFollowInterval{100};
constexpr Millis kNoRoomInterval{10};

v1::LogChunk ToChunk(uint64_t id, std::vector<LogLine> lines) {
  v1::LogChunk chunk;
  chunk.set_request_id(id);
  for (LogLine& line : lines) {
    v1::LogLine& out = *chunk.add_lines();
    out.set_time_unix_ms(line.time_unix_ms);
    out.set_is_stderr(line.is_stderr);
    out.set_text(std::move(line.text));
  }
  return chunk;
}

}  // namespace

LogStreams::LogStreams(Executor& executor, Sink sink)
    : executor_(executor), sink_(std::move(sink)), self_(std::make_shared<LogStreams*>(this)) {}

LogStreams::~LogStreams() { *self_ = nullptr; }

void LogStreams::Open(const v1::LogRequest& request, const std::string& instance_dir) {
  if (instance_dir.empty()) return SendEnd(request.request_id(), "no such instance on this node");
  if (streams_.size() >= kMaxStreams) {
    return SendEnd(request.request_id(), "too many logs of this node are being read");
  }
  streams_.insert_or_assign(
      request.request_id(),
      Stream{instance_dir, LogReader(instance_dir, request.tail_lines()), request.follow()});
  SchedulePump(Millis{0});
}

void LogStreams::Finish(const std::string& instance_dir) {
  for (auto it = streams_.begin(); it != streams_.end();) {
    if (it->second.instance_dir != instance_dir) {
      ++it;
      continue;
    }
    // One chunk more, room or not: it is the last.
    std::vector<LogLine> lines = it->second.reader.Read(kMaxLines, kMaxBytes);
    if (!lines.empty()) sink_.send(ToChunk(it->first, std::move(lines)));
    SendEnd(it->first, "");
    it = streams_.erase(it);
  }
}

void LogStreams::SchedulePump(Millis delay) {
  if (std::exchange(pump_scheduled_, true)) return;
  executor_.RunAfter(delay, [self = self_] {
    if (*self != nullptr) (*self)->Pump();
  });
}

void LogStreams::Pump() {
  pump_scheduled_ = false;
  bool more = false;
  for (auto it = streams_.begin(); it != streams_.end();) {
    if (!sink_.has_room()) return SchedulePump(kNoRoomInterval);
    const Outcome outcome = PumpOne(it->first, it->second);
    more |= outcome == Outcome::kMore;
    it = outcome == Outcome::kEnded ? streams_.erase(it) : std::next(it);
  }
  if (!streams_.empty()) SchedulePump(more ? Millis{0} : kFollowInterval);
}

LogStreams::Outcome LogStreams::PumpOne(uint64_t id, Stream& stream) {
  std::vector<LogLine> lines = stream.reader.Read(kMaxLines, kMaxBytes);
  if (!lines.empty()) {
    sink_.send(ToChunk(id, std::move(lines)));
    return Outcome::kMore;
  }
  if (stream.follow) return Outcome::kWaiting;
  SendEnd(id, "");
  return Outcome::kEnded;
}

void LogStreams::SendEnd(uint64_t id, const std::string& error) {
  v1::LogChunk chunk;
  chunk.set_request_id(id);
  chunk.set_end(true);
  chunk.set_error(error);
  sink_.send(std::move(chunk));
}

}  // namespace pando::agent
