// Reads an instance's log files as lines, from the end or onwards, over rotations.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "common/runtime/unique_fd.h"

namespace pando::agent {

struct LogLine {
  int64_t time_unix_ms = 0;
  bool is_stderr = false;
  std::string text;  // valid UTF-8: other bytes are replaced

  bool operator==(const LogLine&) const = default;
};

constexpr uint32_t kAllLines = UINT32_MAX;

// Which lines are wanted: those that all of these leave.
struct LogRange {
  uint32_t tail_lines =
      kAllLines;  // the newest of what there is now; 0: only what is still to come
  int64_t since_unix_ms = 0;
  // Of which starts: kPrevious is the one before the last one; kLast needs a log that has ended.
  enum class Starts { kAll, kPrevious, kLast };
  Starts starts = Starts::kAll;
};

class LogReader {
 public:
  LogReader(std::string instance_dir, const LogRange& range);
  LogReader(std::string instance_dir, uint32_t tail_lines)
      : LogReader(std::move(instance_dir), LogRange{tail_lines, 0}) {}

  // With kPrevious: whether it is known what the start before the last one printed.
  bool found_previous() const { return found_previous_; }

  // The next lines, up to these bounds (at least one line, if there is one). Empty: nothing more
  // yet. What was rotated away unread is told by a line of its own.
  std::vector<LogLine> Read(size_t max_lines, size_t max_bytes);

  // The files are about to go: what is in them can be read after that.
  void KeepFiles();

 private:
  struct File {
    UniqueFd fd;
    uint64_t inode = 0;
    int64_t base = 0;       // bytes of log before it
    int64_t begin = 0;      // where its lines begin
    int64_t size = 0;       // when it was opened
    int64_t offset = 0;     // where reading goes on
    bool is_final = false;  // followed by another one: nothing is added to it

    int64_t end() const { return base + size; }
  };

  std::string PathOf(int index) const;  // 0 is the newest
  bool OpenFile(int index, File& file) const;
  std::vector<File> OpenFiles() const;  // oldest first
  // Offset `lines` before `end`; `lines` is left with those that are missing.
  static int64_t SeekBack(const File& file, int64_t end, uint32_t& lines);
  // Offset of the first line of that time or later.
  static int64_t SeekTime(const File& file, int64_t unix_ms);
  // Position (bytes of log before it) of `tail_lines` before `until_`, and of the first line of a
  // time.
  int64_t TailPosition(const std::vector<File>& files, uint32_t tail_lines) const;
  static int64_t TimePosition(const std::vector<File>& files, int64_t unix_ms);
  void StartAt(std::vector<File> files, int64_t position);
  // Where the last start and the one before it began to print; -1: not known.
  void ReadStarts(int64_t& before, int64_t& last) const;
  // True when there is a file after the one that is read.
  bool FindNext();

  std::string dir_;
  std::deque<File> files_;  // oldest first; the front is being read
  int64_t until_ = INT64_MAX;
  bool found_previous_ = true;
  int64_t missed_bytes_ = 0;  // not told yet
};

// "2026-11-23T12:04:05.123Z o text"; false for what is not a line of a log.
bool ParseLogLine(const std::string& line, LogLine& parsed);

}  // namespace pando::agent
