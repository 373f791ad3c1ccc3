#include "agent/log_reader.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/shim/protocol.h"
#include "agent/utf8.h"

namespace pando::agent {
namespace {

constexpr size_t kPrefixSize = 27;  // time, blank, stream, blank
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

LogReader::LogReader(std::string instance_dir, uint32_t tail_lines)
    : dir_(std::move(instance_dir)) {
  uint32_t missing = tail_lines;
  for (int index = 0; index < shim::kLogFiles; ++index) {
    File file;
    if (!OpenFile(index, file)) break;
    missing -= SeekBack(file, missing);
    files_.push_front(std::move(file));
    if (missing == 0) break;
  }
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
  return true;
}

uint32_t LogReader::SeekBack(File& file, uint32_t lines) {
  const auto block = std::make_unique<char[]>(kBlock);
  int64_t position = lseek(file.fd.get(), 0, SEEK_END);
  bool at_line_end = true;  // the newline that ends the last line starts no further one
  uint32_t found = 0;
  file.offset = position;
  while (position > 0 && found < lines) {
    const int64_t size = std::min<int64_t>(position, kBlock);
    position -= size;
    if (pread(file.fd.get(), block.get(), static_cast<size_t>(size), position) != size) break;
    for (int64_t i = size - 1; i >= 0; --i) {
      if (block[static_cast<size_t>(i)] != '\n') continue;
      if (!std::exchange(at_line_end, false) && ++found == lines) {
        file.offset = position + i + 1;
        return found;
      }
    }
  }
  if (found < lines && !at_line_end) ++found;  // the first line has no newline before it
  if (lines > 0) file.offset = 0;
  return std::min(found, lines);
}

std::vector<LogLine> LogReader::Read(size_t max_lines, size_t max_bytes) {
  std::vector<LogLine> lines;
  size_t bytes = 0;
  std::string block(kBlock, '\0');
  while (lines.size() < max_lines && bytes < max_bytes) {
    if (files_.empty() && !NextFile()) break;
    File& file = files_.front();
    const ssize_t size = pread(file.fd.get(), block.data(), block.size(), file.offset);
    const std::string_view text(block.data(), size > 0 ? static_cast<size_t>(size) : 0);
    size_t begin = 0;
    while (lines.size() < max_lines && bytes < max_bytes) {
      const size_t end = text.find('\n', begin);
      if (end == std::string_view::npos) break;
      LogLine line;
      if (ParseLogLine(std::string(text.substr(begin, end - begin)), line)) {
        bytes += line.text.size();
        lines.push_back(std::move(line));
      }
      begin = end + 1;
    }
    file.offset += static_cast<int64_t>(begin);
    // No whole line is left in this file: go on if it was rotated, else wait for more.
    if (begin == 0 && !NextFile()) break;
  }
  return lines;
}

bool LogReader::NextFile() {
  if (files_.size() > 1) {
    files_.pop_front();
    return true;
  }
  // The file after the one we have is the one that is newer by one now.
  int next = files_.empty() ? 0 : shim::kLogFiles - 1;
  if (!files_.empty()) {
    for (int index = 0; index < shim::kLogFiles; ++index) {
      struct stat info = {};
      if (stat(PathOf(index).c_str(), &info) != 0 || info.st_ino != files_.front().inode) continue;
      if (index == 0) return false;  // not rotated
      next = index - 1;
      break;
    }
  }
  File file;
  if (!OpenFile(next, file)) return false;
  if (!files_.empty()) {
    // It may have got its last lines between our reading it and its rotation.
    struct stat info = {};
    if (fstat(files_.front().fd.get(), &info) == 0 && info.st_size > files_.front().offset) {
      files_.push_back(std::move(file));
      return true;
    }
    files_.pop_front();
  }
  files_.push_back(std::move(file));
  return true;
}

}  // namespace pando::agent
