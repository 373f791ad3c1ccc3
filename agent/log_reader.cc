#include "agent/log_reader.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/shim/protocol.h"
#include "agent/utf8.h"
#include "common/runtime/data_dir.h"

namespace pando::agent {
namespace {

constexpr size_t kPrefixSize = 27;  // time, blank, stream, blank
constexpr size_t kStreamAt = 25;
constexpr size_t kMaxHeader = 64;
constexpr size_t kBlock = 64 * 1024;

}  // namespace

bool ParseLogLine(const std::string& line, LogLine& parsed) {
  tm civil = {};
  int millis = 0;
  char stream = 0;
  if (line.size() < kPrefixSize ||
      sscanf(line.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ %c", &civil.tm_year, &civil.tm_mon,
             &civil.tm_mday, &civil.tm_hour, &civil.tm_min, &civil.tm_sec, &millis, &stream) != 8 ||
      (stream != 'o' && stream != 'e')) {
    return false;
  }
  civil.tm_year -= 1'900;
  civil.tm_mon -= 1;
  parsed.time_unix_ms = int64_t{timegm(&civil)} * 1'000 + millis;
  parsed.is_stderr = stream == 'e';
  parsed.text = ToValidUtf8(line.substr(kPrefixSize));
  return true;
}

LogReader::LogReader(std::string instance_dir, const LogRange& range)
    : dir_(std::move(instance_dir)) {
  std::vector<File> files = OpenFiles();
  int64_t begin = 0;
  if (range.starts != LogRange::Starts::kAll) {
    int64_t before = -1;
    int64_t last = -1;
    ReadStarts(before, last);
    const bool previous = range.starts == LogRange::Starts::kPrevious;
    found_previous_ = !previous || before >= 0;
    begin = std::max<int64_t>(0, previous ? before : last);
    // Files that come later in the place of these are of another log.
    until_ = !found_previous_ || files.empty() ? 0 : previous ? last : files.back().end();
    if (!found_previous_) return;
  }
  if (range.since_unix_ms > 0) begin = std::max(begin, TimePosition(files, range.since_unix_ms));
  if (range.tail_lines != kAllLines) {
    begin = std::max(begin, TailPosition(files, range.tail_lines));
  }
  StartAt(std::move(files), begin);
}

std::string LogReader::PathOf(int index) const {
  return index == 0 ? absl::StrCat(dir_, "/", shim::kLogFile)
                    : absl::StrCat(dir_, "/", shim::kLogFile, ".", index);
}

bool LogReader::OpenFile(int index, File& file) const {
  file.fd.reset(open(PathOf(index).c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info = {};
  if (!file.fd.valid() || fstat(file.fd.get(), &info) != 0) return false;
  file.inode = info.st_ino;
  file.size = info.st_size;
  char header[kMaxHeader];
  const ssize_t size = pread(file.fd.get(), header, sizeof(header), 0);
  const absl::string_view text(header, size > 0 ? static_cast<size_t>(size) : 0);
  const size_t end = text.find('\n');
  if (end != absl::string_view::npos && end > kPrefixSize && text[kStreamAt] == '=' &&
      absl::SimpleAtoi(text.substr(kPrefixSize, end - kPrefixSize), &file.base)) {
    file.begin = static_cast<int64_t>(end) + 1;
  }
  file.offset = file.begin;
  return true;
}

// From the newest to the oldest: a file that is renamed meanwhile is met at its next number, so
// none is missed; but one may be met twice, and behind a newer one.
std::vector<LogReader::File> LogReader::OpenFiles() const {
  std::vector<File> files;
  for (int index = 0; index < shim::kLogFiles; ++index) {
    File file;
    if (OpenFile(index, file)) files.push_back(std::move(file));
  }
  std::reverse(files.begin(), files.end());
  std::stable_sort(files.begin(), files.end(),
                   [](const File& a, const File& b) { return a.base < b.base; });
  const auto same = [](const File& a, const File& b) { return a.inode == b.inode; };
  files.erase(std::unique(files.begin(), files.end(), same), files.end());
  return files;
}

int64_t LogReader::SeekBack(const File& file, int64_t end, uint32_t& lines) {
  const auto block = std::make_unique<char[]>(kBlock);
  int64_t position = end;
  bool at_line_end = true;  // the newline that ends the last line starts no further one
  while (position > file.begin && lines > 0) {
    const int64_t size = std::min<int64_t>(position - file.begin, kBlock);
    position -= size;
    if (pread(file.fd.get(), block.get(), static_cast<size_t>(size), position) != size) break;
    for (int64_t i = size - 1; i >= 0; --i) {
      if (block[static_cast<size_t>(i)] != '\n') continue;
      if (!std::exchange(at_line_end, false) && --lines == 0) return position + i + 1;
    }
  }
  if (lines == 0) return end;
  if (!at_line_end) --lines;  // the first line has no newline before it
  return file.begin;
}

int64_t LogReader::TailPosition(const std::vector<File>& files, uint32_t tail_lines) const {
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    const int64_t end = std::min(file->size, until_ - file->base);
    if (end <= file->begin && tail_lines > 0) continue;
    const int64_t offset = SeekBack(*file, end, tail_lines);
    if (tail_lines == 0) return file->base + offset;
  }
  return 0;
}

int64_t LogReader::SeekTime(const File& file, int64_t unix_ms) {
  // `low` is where a line begins before which all are older; no line from `high` on is.
  int64_t low = file.begin;
  int64_t high = file.size;
  std::string block(kBlock, '\0');
  const auto read_at = [&](int64_t offset) {
    const ssize_t size = pread(file.fd.get(), block.data(), block.size(), offset);
    return std::string_view(block.data(), size > 0 ? static_cast<size_t>(size) : 0);
  };
  const auto is_older = [&](std::string_view text) {
    LogLine line;
    return !ParseLogLine(std::string(text), line) || line.time_unix_ms < unix_ms;
  };
  while (high - low > int64_t{kBlock}) {
    const int64_t middle = low + (high - low) / 2;
    const std::string_view text = read_at(middle);
    const size_t newline = text.find('\n');
    const size_t end = newline == std::string_view::npos ? newline : text.find('\n', newline + 1);
    const int64_t line_at = middle + static_cast<int64_t>(newline) + 1;
    if (end == std::string_view::npos || line_at >= high) {
      high = middle;  // the line that is there begins before it
    } else if (is_older(text.substr(newline + 1, end - newline - 1))) {
      low = middle + static_cast<int64_t>(end) + 1;
    } else {
      high = line_at;
    }
  }
  while (low < high) {
    const std::string_view text = read_at(low);
    size_t begin = 0;
    for (size_t end = 0; (end = text.find('\n', begin)) != std::string_view::npos;
         begin = end + 1) {
      if (!is_older(text.substr(begin, end - begin))) return low + static_cast<int64_t>(begin);
    }
    if (begin == 0) break;
    low += static_cast<int64_t>(begin);
  }
  return low;
}

int64_t LogReader::TimePosition(const std::vector<File>& files, int64_t unix_ms) {
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    const int64_t offset = SeekTime(*file, unix_ms);
    // At its very begin: lines of the file before it may be wanted as well.
    if (offset > file->begin) return file->base + offset;
  }
  return 0;
}

void LogReader::StartAt(std::vector<File> files, int64_t position) {
  for (size_t i = 0; i < files.size(); ++i) {
    File& file = files[i];
    const bool is_last = i + 1 == files.size();
    if (file.end() <= position && !is_last) continue;
    file.offset = std::clamp(position - file.base, file.begin, std::max(file.begin, file.size));
    files_.push_back(std::move(file));
  }
}

void LogReader::ReadStarts(int64_t& before, int64_t& last) const {
  const auto text = ReadFile(absl::StrCat(dir_, "/", shim::kStartsFile));
  if (!text.ok()) return;
  for (const absl::string_view line : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
    before = last;
    if (words.size() != 2 || !absl::SimpleAtoi(words[1], &last)) last = -1;
  }
}

std::vector<LogLine> LogReader::Read(size_t max_lines, size_t max_bytes) {
  std::vector<LogLine> lines;
  size_t bytes = 0;
  std::string block(kBlock, '\0');
  while (lines.size() < max_lines && bytes < max_bytes) {
    if (files_.empty()) {
      if (!FindNext()) break;
      missed_bytes_ += files_.front().base;
    }
    File& file = files_.front();
    const int64_t wanted = std::min<int64_t>(kBlock, until_ - file.base - file.offset);
    if (wanted <= 0) break;
    const ssize_t size =
        pread(file.fd.get(), block.data(), static_cast<size_t>(wanted), file.offset);
    const std::string_view text(block.data(), size > 0 ? static_cast<size_t>(size) : 0);
    size_t begin = 0;
    while (lines.size() < max_lines && bytes < max_bytes) {
      const size_t end = text.find('\n', begin);
      if (end == std::string_view::npos) break;
      LogLine line;
      if (ParseLogLine(std::string(text.substr(begin, end - begin)), line)) {
        if (missed_bytes_ > 0) {
          lines.push_back({line.time_unix_ms, true,
                           absl::StrCat("pando: ", std::exchange(missed_bytes_, 0),
                                        " bytes of log were rotated away before they were read")});
        }
        bytes += line.text.size();
        lines.push_back(std::move(line));
      }
      begin = end + 1;
    }
    file.offset += static_cast<int64_t>(begin);
    if (begin > 0) continue;
    // No whole line is left in this file: go on if it was rotated, else wait for more.
    if (!FindNext()) break;
    // It may have got its last lines between our reading it and its rotation.
    if (!std::exchange(file.is_final, true)) continue;
    missed_bytes_ += std::max<int64_t>(0, files_[1].base - file.base - file.offset);
    files_.pop_front();
  }
  return lines;
}

bool LogReader::FindNext() {
  if (files_.size() > 1) return true;
  struct stat info = {};
  if (!files_.empty() && stat(PathOf(0).c_str(), &info) == 0 &&
      info.st_ino == files_.front().inode) {
    return false;  // still the newest
  }
  const size_t before = files_.size();
  KeepFiles();
  return files_.size() > before;
}

void LogReader::KeepFiles() {
  const int64_t base = files_.empty() ? -1 : files_.back().base;
  for (File& file : OpenFiles()) {
    if (file.base > base) files_.push_back(std::move(file));
  }
}

}  // namespace pando::agent
