// Lines of many logs in the order of their times. Pure: it is given the time.
//
// Each log comes in order by itself, in chunks, and is asked for more when few of its lines are
// left. While what is stored is read, a line waits for every log that may still have an older one.
// Lines that come as they are printed wait only for a short while: a log that is silent, or whose
// node is slow, does not hold up the others.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "pando/v1/admin.pb.h"

namespace pando::controller {

namespace v1 = ::pando::v1;

class LogMerge {
 public:
  static constexpr uint32_t kAllLines = UINT32_MAX;
  static constexpr Millis kWindow{300};  // agents look for new lines every 100 ms
  // For logs that do not say what is stored: from then on they are waited for like new lines.
  static constexpr Millis kPatience{5'000};
  static constexpr size_t kFewLines = 250;
  // Of the newest lines that are kept until all logs were read to their end.
  static constexpr size_t kMaxTailBytes = 32 << 20;

  // Of what is stored, the newest `tail` lines of all logs together. Each log is expected to begin
  // no more than `tail` lines before its end; with `follow`, those that come after them are new.
  LogMerge(uint32_t tail, bool follow) : tail_lines_(tail), follow_(follow) {}

  // Its lines are awaited; also again after its end.
  void Open(const std::string& log);
  void Push(const std::string& log, std::vector<v1::LogEntry> entries, Instant now);
  // Nothing more for now.
  void SetCaughtUp(const std::string& log);
  // Nothing more at all; what was pushed is still merged.
  void End(const std::string& log);

  // The next line, if it can be told already.
  std::optional<v1::LogEntry> Next(Instant now);
  // When Next may have one though nothing happens until then; after it had none.
  std::optional<Instant> NextAt() const { return next_at_; }
  // Logs with few lines left since the last call: to be asked for more.
  std::set<std::string> TakeHungry();
  // Lines that the tail had no room for, since the last call.
  uint64_t TakeSkipped();

 private:
  struct Held {
    v1::LogEntry entry;
    Instant arrived;
    bool is_new = false;  // not there yet when the log was opened
  };
  struct Log {
    std::deque<Held> lines;
    uint64_t received = 0;
    bool caught_up = false;
    bool ended = false;
  };
  using Logs = std::map<std::string, Log>;

  Logs::iterator Oldest();
  Held Take(Logs::iterator log);
  // Nothing more of what is stored will come.
  bool IsRead(const Log& log) const;
  // A log may still have a stored line that is older than what the others have.
  bool IsAnyAwaited() const;
  bool IsHistoryRead() const;
  // Moves what is stored into the tail; false while more of it has to come.
  bool ReadHistory();
  void KeepInTail(Held line);

  const uint32_t tail_lines_;
  const bool follow_;
  Logs logs_;
  bool in_history_ = true;
  std::optional<Instant> history_until_;
  std::deque<Held> tail_;
  size_t stored_in_tail_ = 0;
  size_t tail_bytes_ = 0;
  uint64_t skipped_ = 0;
  std::set<std::string> hungry_;
  std::optional<Instant> next_at_;
};

}  // namespace pando::controller
