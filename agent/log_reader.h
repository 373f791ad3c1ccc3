// Reads an instance's log files as lines, from the end or onwards, over rotations.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "common/runtime/unique_fd.h"

namespace pando::agent {

struct LogLine {
  int64_t time_unix_ms = 0;
  bool is_stderr = false;
  std::string text;  // valid UTF-8: other bytes are replaced

  bool operator==(const LogLine&) const = default;
};

class LogReader {
 public:
  // Starts `tail_lines` before the end of what there is now (0: at the end).
  LogReader(std::string instance_dir, uint32_t tail_lines);

  // The next lines, up to these bounds (at least one line, if there is one). Empty: nothing more
  // yet.
  std::vector<LogLine> Read(size_t max_lines, size_t max_bytes);

 private:
  struct File {
    UniqueFd fd;
    uint64_t inode = 0;
    int64_t offset = 0;
  };

  std::string PathOf(int index) const;  // 0 is the newest
  bool OpenFile(int index, File& file) const;
  // Sets the offset `lines` before the end; returns how many there were.
  static uint32_t SeekBack(File& file, uint32_t lines);
  // True when there is a file after the one that was read to its end.
  bool NextFile();

  std::string dir_;
  std::deque<File> files_;  // oldest first; the front is being read
};

// "2026-11-23T12:04:05.123Z o text"; false for what is not a line of a log.
bool ParseLogLine(const std::string& line, LogLine& parsed);

}  // namespace pando::agent
