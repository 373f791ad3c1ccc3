// The instance's log: lines with time and stream, in a few files of bounded size in the current
// directory. Uses neither the heap nor iostreams: a shim runs per instance and has to stay tiny.
//
//   2026-11-23T12:04:05.123Z o listening on 20000
//
// A file that follows another one begins with how many bytes of log there were before it, so that a
// reader knows what it missed: "2026-11-23T12:04:05.123Z = 10485760".
//
// Single-threaded. Only whole lines are in a file. A line that cannot be written (full disk) is
// dropped and counted, and the count is told in the log when writing works again: the app is never
// held up by its log.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pando::shim {

class LogFile {
 public:
  // Rotates before the lines of a file exceed `max_bytes`; keeps `files` files, "<name>" being the
  // newest. While no new file can be opened, the newest one takes up to twice as much.
  LogFile(const char* name, int64_t max_bytes, int files);
  ~LogFile();
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  // 0, or the errno of opening the file.
  int Open();
  // `stream` is 'o' or 'e'. Buffered until Flush.
  void Append(char stream, int64_t unix_ms, const char* text, size_t size);
  void Flush();
  // Notes in the file `starts` that what follows is of this incarnation; the last two are kept:
  // "<incarnation> <bytes of log before it>", the newer one last.
  void MarkStart(const char* starts, unsigned incarnation);

 private:
  bool Rotate(int64_t unix_ms);
  void PutLine(char stream, int64_t unix_ms, const char* text, size_t size);
  void PutPrefix(char stream, int64_t unix_ms, char* out);
  void TellLost(int64_t unix_ms);  // in the log itself

  const char* name_;
  int64_t max_bytes_;
  int files_;
  int fd_ = -1;
  int64_t base_ = 0;     // bytes of log before this file
  int64_t header_ = 0;   // bytes of this file's first line that says so
  int64_t written_ = 0;  // bytes in the file and the buffer
  bool torn_ = false;    // the file ends in a part of a line
  uint64_t lost_lines_ = 0;
  int lost_error_ = 0;  // errno: why
  int64_t stamp_ms_ = -1;
  char stamp_[24];  // `stamp_ms_` as a text: many lines have the same
  size_t buffered_ = 0;
  char buffer_[32 * 1024];  // whole lines
};

// Cuts what comes out of a pipe into lines; those longer than 16 KiB are split.
class LineSplitter {
 public:
  static constexpr size_t kMaxLine = 16 * 1024;

  // Reads once from `fd` (non-blocking) and appends the lines to `log`.
  // Returns the bytes read, 0 at the end of the stream, -1 when there is nothing now.
  long Feed(int fd, char stream, int64_t unix_ms, LogFile& log);
  // Appends an unfinished last line.
  void Finish(char stream, int64_t unix_ms, LogFile& log);

 private:
  size_t used_ = 0;
  bool continues_ = false;  // what is in the buffer continues a line that was split
  char line_[kMaxLine];
};

// Writes "2026-11-23T12:04:05.123Z" (24 bytes, no terminator).
void FormatTime(int64_t unix_ms, char out[24]);

}  // namespace pando::shim
