#include "agent/shim/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pando::shim {
namespace {

constexpr size_t kTimeSize = 24;
constexpr size_t kPrefixSize = kTimeSize + 3;  // time, blank, stream, blank

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
  fd_ = open(name_, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fd_ < 0) return errno;
  struct stat info = {};
  written_ = fstat(fd_, &info) == 0 ? info.st_size : 0;
  return 0;
}

void LogFile::Append(char stream, int64_t unix_ms, const char* text, size_t size) {
  if (lost_bytes_ > 0) {
    Flush();
    char note[96];
    const int length =
        snprintf(note, sizeof(note), "pando: %llu bytes of log were lost: the disk was full",
                 static_cast<unsigned long long>(lost_bytes_));
    const uint64_t before = lost_bytes_;
    lost_bytes_ = 0;
    PutLine('e', unix_ms, note, static_cast<size_t>(length));
    Flush();
    if (lost_bytes_ > 0) lost_bytes_ = before;  // the note went the same way
  }
  PutLine(stream, unix_ms, text, size);
}

void LogFile::PutLine(char stream, int64_t unix_ms, const char* text, size_t size) {
  const auto whole = static_cast<int64_t>(kPrefixSize + size + 1);
  if (written_ > 0 && written_ + whole > max_bytes_) Rotate();
  if (buffered_ + kPrefixSize > sizeof(buffer_)) Flush();
  char prefix[kPrefixSize];
  FormatTime(unix_ms, prefix);
  prefix[kTimeSize] = ' ';
  prefix[kTimeSize + 1] = stream;
  prefix[kTimeSize + 2] = ' ';
  Put(prefix, kPrefixSize);
  Put(text, size);
  Put("\n", 1);
  written_ += whole;
}

// A line fits the buffer whole, so that a reader of the file seldom sees a part of one.
void LogFile::Put(const char* bytes, size_t size) {
  if (buffered_ + size > sizeof(buffer_)) Flush();
  memcpy(buffer_ + buffered_, bytes, size);
  buffered_ += size;
}

void LogFile::Flush() {
  size_t done = 0;
  while (done < buffered_) {
    const ssize_t count = write(fd_, buffer_ + done, buffered_ - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      lost_bytes_ += buffered_ - done;
      break;
    }
    done += static_cast<size_t>(count);
  }
  buffered_ = 0;
}

void LogFile::Rotate() {
  Flush();
  char from[64];
  char to[64];
  for (int i = files_ - 1; i >= 1; --i) {
    if (i == 1) {
      snprintf(from, sizeof(from), "%s", name_);
    } else {
      snprintf(from, sizeof(from), "%s.%d", name_, i - 1);
    }
    snprintf(to, sizeof(to), "%s.%d", name_, i);
    rename(from, to);  // fails while there are fewer files yet
  }
  const int old = fd_;
  if (Open() == 0) {
    close(old);
  } else {
    fd_ = old;  // out of descriptors: goes on in the old file
    written_ = 0;
  }
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
