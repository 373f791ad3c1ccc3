#include "agent/log_streams.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "agent/earlier_logs.h"

namespace pando::agent {
namespace {

constexpr size_t kMaxLines = 500;  // in a chunk
constexpr size_t kMaxBytes = 64 * 1024;
constexpr uint32_t kMaxAsked = 16;
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

void LogStreams::Open(const v1::LogRequest& request, const std::string& instance_dir,
                      const std::string& earlier_dir) {
  const uint64_t id = request.request_id();
  if (const auto open = streams_.find(id); open != streams_.end()) {
    open->second.asked = std::min(open->second.asked + 1, kMaxAsked);
    return SchedulePump(Millis{0});
  }
  // Of one that has ended meanwhile more is asked without saying again what it was.
  if (request.assignment_id().empty()) return;
  if (instance_dir.empty()) return SendEnd(id, "no such instance on this node");
  if (streams_.size() >= kMaxStreams) {
    return SendEnd(id, "too many logs of this node are being read");
  }
  auto reader = request.previous()
                    ? OpenPreviousRun(instance_dir, earlier_dir, request.tail_lines(),
                                      request.since_unix_ms())
                    : LogReader(instance_dir, {request.tail_lines(), request.since_unix_ms()});
  if (!reader) return SendEnd(id, "it was started only once");
  // What ended gets no more lines.
  const bool follow = request.follow() && !request.previous();
  streams_.emplace(id, Stream{instance_dir, *std::move(reader), follow});
  SchedulePump(Millis{0});
}

void LogStreams::Finish(const std::string& instance_dir) {
  for (auto& [id, stream] : streams_) {
    if (stream.instance_dir != instance_dir) continue;
    stream.reader.KeepFiles();
    stream.follow = false;
  }
  SchedulePump(Millis{0});
}

void LogStreams::SchedulePump(Millis delay) {
  const Instant at = executor_.Now() + delay;
  if (pump_at_ && *pump_at_ <= at) return;
  pump_at_ = at;
  executor_.RunAfter(delay, [self = self_, number = ++pump_number_] {
    if (*self != nullptr && (*self)->pump_number_ == number) (*self)->Pump();
  });
}

void LogStreams::Pump() {
  pump_at_.reset();
  bool more = false;
  bool waiting = false;
  // Once around, from where the last pump had no room any more: each gets its turn.
  for (size_t left = streams_.size(); left > 0; --left) {
    auto it = streams_.lower_bound(next_);
    if (it == streams_.end()) it = streams_.begin();
    next_ = it->first;
    if (!sink_.has_room()) return SchedulePump(kNoRoomInterval);
    ++next_;
    const Outcome outcome = PumpOne(it->first, it->second);
    more |= outcome == Outcome::kMore;
    waiting |= outcome == Outcome::kWaiting;
    if (outcome == Outcome::kEnded) streams_.erase(it);
  }
  if (more || waiting) SchedulePump(more ? Millis{0} : kFollowInterval);
}

LogStreams::Outcome LogStreams::PumpOne(uint64_t id, Stream& stream) {
  if (stream.asked == 0) return Outcome::kNotAsked;
  std::vector<LogLine> lines = stream.reader.Read(kMaxLines, kMaxBytes);
  if (!lines.empty()) {
    stream.told_all = false;
    sink_.send(ToChunk(id, std::move(lines)));
    return --stream.asked > 0 ? Outcome::kMore : Outcome::kNotAsked;
  }
  if (!stream.follow) {
    SendEnd(id, "");
    return Outcome::kEnded;
  }
  if (!std::exchange(stream.told_all, true)) sink_.send(ToChunk(id, {}));
  return Outcome::kWaiting;
}

void LogStreams::SendEnd(uint64_t id, const std::string& error) {
  v1::LogChunk chunk;
  chunk.set_request_id(id);
  chunk.set_end(true);
  chunk.set_error(error);
  sink_.send(std::move(chunk));
}

}  // namespace pando::agent
