// The instance's log: lines with time and stream, in a few files of bounded size in the current
// directory. Uses neither the heap nor iostreams: a shim runs per instance and has to stay tiny.
//
//   2026-11-23T12:04:05.123Z o listening on 20000
//
// Single-threaded. A line that cannot be written (full disk) is dropped and counted, and the count
// is told in the log when writing works again: the app is never held up by its log.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pando::shim {

class LogFile {
 public:
  // Rotates before a file exceeds `max_bytes`; keeps `files` files, "<name>" being the newest.
  LogFile(const char* name, int64_t max_bytes, int files);
  ~LogFile();
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  // 0, or the errno of opening the file.
  int Open();
  // `stream` is 'o' or 'e'. Buffered until Flush.
  void Append(char stream, int64_t unix_ms, const char* text, size_t size);
  void Flush();

 private:
  void Rotate();
  void Put(const char* bytes, size_t size);
  void PutLine(char stream, int64_t unix_ms, const char* text, size_t size);

  const char* name_;
  int64_t max_bytes_;
  int files_;
  int fd_ = -1;
  int64_t written_ = 0;  // bytes in the file and the buffer
  uint64_t lost_bytes_ = 0;
  size_t buffered_ = 0;
  char buffer_[32 * 1024];
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
