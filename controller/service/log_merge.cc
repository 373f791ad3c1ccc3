#include "controller/service/log_merge.h"

#include <algorithm>
#include <utility>

namespace pando::controller {

void LogMerge::Open(const std::string& log) {
  Log& opened = logs_[log];
  opened.caught_up = false;
  opened.ended = false;
  opened.received = 0;
}

void LogMerge::Push(const std::string& log, std::vector<v1::LogEntry> entries, Instant now) {
  Log& into = logs_[log];
  for (v1::LogEntry& entry : entries) {
    const bool is_new = follow_ && (into.caught_up || into.received >= tail_lines_);
    into.lines.push_back({std::move(entry), now, is_new});
    ++into.received;
  }
  into.caught_up = false;
  if (into.lines.size() < kFewLines) hungry_.insert(log);
}

void LogMerge::SetCaughtUp(const std::string& log) {
  const auto found = logs_.find(log);
  if (found != logs_.end()) found->second.caught_up = true;
}

void LogMerge::End(const std::string& log) {
  const auto found = logs_.find(log);
  if (found == logs_.end()) return;
  found->second.ended = true;
  hungry_.erase(log);
  if (found->second.lines.empty()) logs_.erase(found);
}

std::set<std::string> LogMerge::TakeHungry() { return std::exchange(hungry_, {}); }

uint64_t LogMerge::TakeSkipped() { return std::exchange(skipped_, 0); }

LogMerge::Logs::iterator LogMerge::Oldest() {
  auto oldest = logs_.end();
  for (auto it = logs_.begin(); it != logs_.end(); ++it) {
    if (it->second.lines.empty()) continue;
    if (oldest == logs_.end() || it->second.lines.front().entry.time_unix_ms() <
                                     oldest->second.lines.front().entry.time_unix_ms()) {
      oldest = it;
    }
  }
  return oldest;
}

LogMerge::Held LogMerge::Take(Logs::iterator log) {
  Held line = std::move(log->second.lines.front());
  log->second.lines.pop_front();
  if (log->second.ended) {
    if (log->second.lines.empty()) logs_.erase(log);
  } else if (log->second.lines.size() < kFewLines) {
    hungry_.insert(log->first);
  }
  return line;
}

bool LogMerge::IsRead(const Log& log) const {
  // One that prints all the time is never read to its end, but its tail is.
  return log.caught_up || log.ended || (follow_ && log.received >= tail_lines_);
}

bool LogMerge::IsAnyAwaited() const {
  return std::any_of(logs_.begin(), logs_.end(), [this](const auto& log) {
    return log.second.lines.empty() && !IsRead(log.second);
  });
}

bool LogMerge::IsHistoryRead() const {
  return std::all_of(logs_.begin(), logs_.end(),
                     [this](const auto& log) { return IsRead(log.second); });
}

void LogMerge::KeepInTail(Held line) {
  tail_bytes_ += line.entry.text().size();
  if (!line.is_new) ++stored_in_tail_;
  tail_.push_back(std::move(line));
  // What is new is never dropped: it is asked for only as long as this phase takes.
  while (!tail_.empty() && !tail_.front().is_new &&
         (stored_in_tail_ > tail_lines_ || tail_bytes_ > kMaxTailBytes)) {
    if (stored_in_tail_ <= tail_lines_) ++skipped_;
    --stored_in_tail_;
    tail_bytes_ -= tail_.front().entry.text().size();
    tail_.pop_front();
  }
}

bool LogMerge::ReadHistory() {
  while (true) {
    const auto oldest = Oldest();
    if (oldest == logs_.end() || IsAnyAwaited()) break;
    KeepInTail(Take(oldest));
  }
  return IsHistoryRead();
}

std::optional<v1::LogEntry> LogMerge::Next(Instant now) {
  next_at_.reset();
  if (!history_until_) history_until_ = now + kPatience;
  const bool is_over = now >= *history_until_;
  if (in_history_ && tail_lines_ != kAllLines) {
    if (!ReadHistory() && !is_over) {
      next_at_ = history_until_;
      return std::nullopt;
    }
    in_history_ = false;
  }
  if (is_over) in_history_ = false;
  if (!tail_.empty()) {
    v1::LogEntry entry = std::move(tail_.front().entry);
    tail_bytes_ -= entry.text().size();
    tail_.pop_front();
    return entry;
  }
  const auto oldest = Oldest();
  if (oldest == logs_.end()) {
    if (IsHistoryRead()) in_history_ = false;
    return std::nullopt;
  }
  const bool every_log_has_lines = std::none_of(logs_.begin(), logs_.end(), [](const auto& log) {
    return log.second.lines.empty() && !log.second.ended;
  });
  const Instant due = oldest->second.lines.front().arrived + kWindow;
  if (every_log_has_lines || (in_history_ && !IsAnyAwaited()) || (!in_history_ && due <= now)) {
    return Take(oldest).entry;
  }
  next_at_ = in_history_ ? *history_until_ : due;
  return std::nullopt;
}

}  // namespace pando::controller
