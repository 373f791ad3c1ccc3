#include "agent/shim/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pando::shim {
namespace {

constexpr size_t kTimeSize = 24;
constexpr size_t kPrefixSize = kTimeSize + 3;  // time, blank, stream, blank
constexpr size_t kMaxHeader = 64;

void PutDigits(char* out, int digits, int64_t value) {
  for (int i = digits - 1; i >= 0; --i) {
    out[i] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
}

}  // namespace

// Not gmtime: in a static binary it would read the time zone files.
void FormatTime(int64_t unix_ms, char out[24]) {
  const int64_t ms_of_day = unix_ms % 86'400'000;
  // Days to civil date, Hinnant's algorithm; an era is 400 years, years start in March.
  const int64_t days = unix_ms / 86'400'000 + 719'468;
  const int64_t era = days / 146'097;
  const int64_t day_of_era = days - era * 146'097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t month_from_march = (5 * day_of_year + 2) / 153;
  const int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
  const int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  memcpy(out, "0000-00-00T00:00:00.000Z", kTimeSize);
  PutDigits(out, 4, year);
  PutDigits(out + 5, 2, month);
  PutDigits(out + 8, 2, day_of_year - (153 * month_from_march + 2) / 5 + 1);
  PutDigits(out + 11, 2, ms_of_day / 3'600'000);
  PutDigits(out + 14, 2, ms_of_day / 60'000 % 60);
  PutDigits(out + 17, 2, ms_of_day / 1'000 % 60);
  PutDigits(out + 20, 3, ms_of_day % 1'000);
}

LogFile::LogFile(const char* name, int64_t max_bytes, int files)
    : name_(name), max_bytes_(max_bytes), files_(files) {}

LogFile::~LogFile() {
  if (fd_ >= 0) close(fd_);
}

int LogFile::Open() {
  fd_ = open(name_, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fd_ < 0) return errno;
  struct stat info = {};
  written_ = fstat(fd_, &info) == 0 ? info.st_size : 0;
  char header[kMaxHeader + 1] = "";
  const ssize_t size = pread(fd_, header, kMaxHeader, 0);
  header[size > 0 ? size : 0] = '\0';
  const auto* end = strchr(header, '\n');
  if (end != nullptr && static_cast<size_t>(end - header) > kPrefixSize &&
      header[kTimeSize + 1] == '=') {
    base_ = strtoll(header + kPrefixSize, nullptr, 10);
    header_ = end + 1 - header;
  }
  // A shim that was killed, or a host that lost power, may have left a part of a line.
  char last = '\n';
  torn_ = written_ > 0 && pread(fd_, &last, 1, written_ - 1) == 1 && last != '\n';
  return 0;
}

void LogFile::Append(char stream, int64_t unix_ms, const char* text, size_t size) {
  if (lost_lines_ > 0) TellLost(unix_ms);
  PutLine(stream, unix_ms, text, size);
}

void LogFile::TellLost(int64_t unix_ms) {
  Flush();
  char note[128];
  const int length = snprintf(note, sizeof(note), "pando: %llu lines of log were lost: %s",
                              static_cast<unsigned long long>(lost_lines_), strerror(lost_error_));
  const uint64_t before = lost_lines_;
  lost_lines_ = 0;
  PutLine('e', unix_ms, note, static_cast<size_t>(length));
  Flush();
  if (lost_lines_ > 0) lost_lines_ = before;  // the note went the same way
}

void LogFile::PutLine(char stream, int64_t unix_ms, const char* text, size_t size) {
  const size_t whole = kPrefixSize + size + 1;
  const int64_t lines = written_ - header_ + static_cast<int64_t>(whole);
  if (lines > max_bytes_ && written_ > header_ && !Rotate(unix_ms) && lines > 2 * max_bytes_) {
    ++lost_lines_;
    return;
  }
  // The buffer has whole lines only, so that what cannot be written is whole lines as well.
  if (buffered_ + whole + 1 > sizeof(buffer_)) Flush();
  if (torn_) {
    buffer_[buffered_++] = '\n';
    ++written_;
    torn_ = false;
  }
  char* out = buffer_ + buffered_;
  PutPrefix(stream, unix_ms, out);
  memcpy(out + kPrefixSize, text, size);
  out[kPrefixSize + size] = '\n';
  buffered_ += whole;
  written_ += static_cast<int64_t>(whole);
}

void LogFile::PutPrefix(char stream, int64_t unix_ms, char* out) {
  if (unix_ms != stamp_ms_) {
    FormatTime(unix_ms, stamp_);
    stamp_ms_ = unix_ms;
  }
  memcpy(out, stamp_, kTimeSize);
  out[kTimeSize] = ' ';
  out[kTimeSize + 1] = stream;
  out[kTimeSize + 2] = ' ';
}

void LogFile::Flush() {
  size_t done = 0;
  while (done < buffered_) {
    const ssize_t count = write(fd_, buffer_ + done, buffered_ - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      lost_error_ = count < 0 ? errno : ENOSPC;
      break;
    }
    done += static_cast<size_t>(count);
  }
  if (done < buffered_) {
    // Back to the last whole line: the next one must not be joined to a part of another.
    const auto* newline = static_cast<const char*>(memrchr(buffer_, '\n', done));
    const size_t whole = newline == nullptr ? 0 : static_cast<size_t>(newline + 1 - buffer_);
    const int64_t before = written_ - static_cast<int64_t>(buffered_);
    written_ = before + static_cast<int64_t>(whole);
    if (done > whole && ftruncate(fd_, written_) != 0) {
      written_ = before + static_cast<int64_t>(done);
      torn_ = true;
    }
    for (size_t i = whole; i < buffered_; ++i) lost_lines_ += buffer_[i] == '\n' ? 1 : 0;
  }
  buffered_ = 0;
}

// Each moment there is a newest file, and a file is at its old or its next number: a reader that
// looks from the newest to the oldest misses none.
bool LogFile::Rotate(int64_t unix_ms) {
  Flush();
  char from[64];
  char to[64];
  // The next file first: when there can be none, all stays as it is.
  snprintf(from, sizeof(from), "%s.new", name_);
  const int next = open(from, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0640);
  char header[kMaxHeader];
  PutPrefix('=', unix_ms, header);
  const int number = snprintf(header + kPrefixSize, sizeof(header) - kPrefixSize, "%" PRId64 "\n",
                              base_ + written_);
  const int size = static_cast<int>(kPrefixSize) + number;
  if (next < 0 || write(next, header, static_cast<size_t>(size)) != size) {
    lost_error_ = errno;
    if (next >= 0) close(next);
    unlink(from);
    return false;
  }
  for (int i = files_ - 1; i >= 2; --i) {
    snprintf(from, sizeof(from), "%s.%d", name_, i - 1);
    snprintf(to, sizeof(to), "%s.%d", name_, i);
    rename(from, to);  // fails while there are fewer files yet
  }
  snprintf(from, sizeof(from), "%s.new", name_);
  snprintf(to, sizeof(to), "%s.1", name_);
  // Not every file system has links.
  if (files_ > 1 && link(name_, to) != 0) rename(name_, to);
  rename(from, name_);
  close(fd_);
  fd_ = next;
  base_ += written_;
  header_ = written_ = size;
  return true;
}

void LogFile::MarkStart(const char* starts, unsigned incarnation) {
  Flush();
  char text[128] = "";
  const int old = open(starts, O_RDONLY | O_CLOEXEC);
  const ssize_t size = old < 0 ? 0 : read(old, text, sizeof(text) - 64);
  if (old >= 0) close(old);
  // The last line is kept.
  size_t kept = size > 0 ? static_cast<size_t>(size) : 0;
  if (kept > 0 && text[kept - 1] != '\n') kept = 0;  // not one of ours
  size_t begin = kept;
  while (begin > 0 && !(begin < kept && text[begin - 1] == '\n')) --begin;
  memmove(text, text + begin, kept - begin);
  kept -= begin;
  kept += static_cast<size_t>(snprintf(text + kept, sizeof(text) - kept, "%u %" PRId64 "\n",
                                       incarnation, base_ + written_));
  char temporary[64];
  snprintf(temporary, sizeof(temporary), "%s.tmp", starts);
  const int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (fd < 0) return;  // the log can be read all the same, but not by incarnations
  const bool ok = write(fd, text, kept) == static_cast<ssize_t>(kept);
  close(fd);
  if (ok) rename(temporary, starts);
}

long LineSplitter::Feed(int fd, char stream, int64_t unix_ms, LogFile& log) {
  const ssize_t count = read(fd, line_ + used_, kMaxLine - used_);
  if (count < 0) return errno == EAGAIN || errno == EINTR ? -1 : 0;
  if (count == 0) return 0;
  const char* begin = line_;
  const char* scan = line_ + used_;
  const char* const end = scan + count;
  while (scan < end) {
    const auto* newline =
        static_cast<const char*>(memchr(scan, '\n', static_cast<size_t>(end - scan)));
    if (newline == nullptr) break;
    // The line end right behind a split belongs to the line that was split.
    if (!(continues_ && newline == begin)) {
      log.Append(stream, unix_ms, begin, static_cast<size_t>(newline - begin));
    }
    continues_ = false;
    begin = scan = newline + 1;
  }
  used_ = static_cast<size_t>(end - begin);
  if (used_ == kMaxLine) {
    log.Append(stream, unix_ms, line_, used_);
    continues_ = true;
    used_ = 0;
  } else if (begin != line_) {
    memmove(line_, begin, used_);
  }
  log.Flush();
  return count;
}

void LineSplitter::Finish(char stream, int64_t unix_ms, LogFile& log) {
  if (used_ > 0) log.Append(stream, unix_ms, line_, used_);
  used_ = 0;
  log.Flush();
}

}  // namespace pando::shim
