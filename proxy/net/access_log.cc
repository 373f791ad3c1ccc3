#include "proxy/net/access_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/runtime/log.h"

namespace pando::proxy {
namespace {

constexpr size_t kRingBytes = size_t{1} << 20;
constexpr Millis kWriteInterval{100};
constexpr size_t kWriteBytes = size_t{256} * 1024;
constexpr size_t kMaxTextBytes = 2'048;
constexpr int kFileMode = 0640;  // addresses of people are in it

// The texts of a record, in one order for both sides.
constexpr std::string_view AccessRecord::*const kTexts[] = {
    &AccessRecord::client,     &AccessRecord::method,     &AccessRecord::target,
    &AccessRecord::host,       &AccessRecord::app,        &AccessRecord::instance,
    &AccessRecord::request_id, &AccessRecord::user_agent, &AccessRecord::referer};

// What is in a ring before the texts. `entry` has no texts of its own: its views mean nothing.
struct Header {
  AccessEntry entry;
  uint32_t size = 0;  // with the texts
  uint16_t lengths[std::size(kTexts)] = {};
};

absl::StatusOr<UniqueFd> OpenFile(const std::string& path) {
  UniqueFd file(path == "-"
                    ? dup(STDOUT_FILENO)
                    : open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, kFileMode));
  if (!file.valid()) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  return file;
}

}  // namespace

// ---- the ring

AccessRing::AccessRing(size_t bytes) : mask_(bytes - 1), bytes_(new char[bytes]) {}

void AccessRing::Copy(size_t at, const void* from, size_t size) {
  if (size == 0) return;  // an empty text may have no address at all
  const size_t begin = at & mask_;
  const size_t first = std::min(size, mask_ + 1 - begin);
  std::memcpy(bytes_.get() + begin, from, first);
  std::memcpy(bytes_.get(), static_cast<const char*>(from) + first, size - first);
}

void AccessRing::CopyOut(size_t at, void* to, size_t size) const {
  const size_t begin = at & mask_;
  const size_t first = std::min(size, mask_ + 1 - begin);
  std::memcpy(to, bytes_.get() + begin, first);
  std::memcpy(static_cast<char*>(to) + first, bytes_.get(), size - first);
}

bool AccessRing::Put(const AccessEntry& entry) {
  Header header;
  header.entry = entry;
  size_t size = sizeof(header);
  for (size_t i = 0; i < std::size(kTexts); ++i) {
    const size_t length = std::min((entry.record.*kTexts[i]).size(), kMaxTextBytes);
    header.lengths[i] = static_cast<uint16_t>(length);
    size += length;
  }
  header.size = static_cast<uint32_t>(size);
  size_t at = written_.load(std::memory_order_relaxed);
  if (size > mask_ + 1 - (at - read_.load(std::memory_order_acquire))) return false;
  const size_t end = at + size;
  Copy(at, &header, sizeof(header));
  at += sizeof(header);
  for (size_t i = 0; i < std::size(kTexts); ++i) {
    Copy(at, (entry.record.*kTexts[i]).data(), header.lengths[i]);
    at += header.lengths[i];
  }
  written_.store(end, std::memory_order_release);
  return true;
}

bool AccessRing::half_full() const {
  return written_.load(std::memory_order_relaxed) - read_.load(std::memory_order_relaxed) >
         (mask_ + 1) / 2;
}

bool AccessRing::Take(AccessEntry& entry) {
  const size_t at = read_.load(std::memory_order_relaxed);
  if (at == written_.load(std::memory_order_acquire)) return false;
  Header header;
  CopyOut(at, &header, sizeof(header));
  taken_.resize(header.size - sizeof(header));
  CopyOut(at + sizeof(header), taken_.data(), taken_.size());
  entry = header.entry;
  size_t begin = 0;
  for (size_t i = 0; i < std::size(kTexts); ++i) {
    entry.record.*kTexts[i] = std::string_view(taken_).substr(begin, header.lengths[i]);
    begin += header.lengths[i];
  }
  read_.store(at + header.size, std::memory_order_release);
  return true;
}

// ---- the log

absl::StatusOr<std::unique_ptr<AccessLog>> AccessLog::Open(const std::string& path,
                                                           AccessLogFormat format, size_t rings) {
  absl::StatusOr<UniqueFd> file = OpenFile(path);
  if (!file.ok()) return file.status();
  return std::unique_ptr<AccessLog>(new AccessLog(path, format, rings, *std::move(file)));
}

AccessLog::AccessLog(std::string path, AccessLogFormat format, size_t rings, UniqueFd file)
    : path_(std::move(path)), format_(format), file_(std::move(file)) {
  for (size_t i = 0; i < rings; ++i) workers_.push_back(std::make_unique<Worker>(kRingBytes));
  thread_ = std::thread([this] { Run(); });
}

AccessLog::~AccessLog() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  due_.notify_one();
  thread_.join();
}

void AccessLog::Put(size_t ring, const AccessEntry& entry) {
  Worker& worker = *workers_[ring];
  const bool was_half_full = worker.ring.half_full();
  if (!worker.ring.Put(entry)) worker.dropped.Add();
  if (was_half_full || !worker.ring.half_full()) return;
  // Once per filling: more comes than the usual interval can take.
  {
    const std::lock_guard lock(mutex_);
    hurry_ = true;
  }
  due_.notify_one();
}

void AccessLog::Reopen() {
  {
    const std::lock_guard lock(mutex_);
    reopen_ = true;
  }
  due_.notify_one();
}

uint64_t AccessLog::dropped_total() const {
  uint64_t sum = unwritten_.value();
  for (const auto& worker : workers_) sum += worker->dropped.value();
  return sum;
}

void AccessLog::Run() {
  std::string lines;
  for (bool closing = false; !closing;) {
    bool reopen = false;
    {
      std::unique_lock lock(mutex_);
      due_.wait_for(lock, kWriteInterval, [this] { return reopen_ || closing_ || hurry_; });
      reopen = std::exchange(reopen_, false);
      closing = closing_;
      hurry_ = false;
    }
    // What was said before the file was moved away belongs to the old one.
    uint64_t count = 0;
    while (TakeLines(lines, count)) Write(lines, count);
    if (reopen) OpenAnew();
  }
}

void AccessLog::OpenAnew() {
  absl::StatusOr<UniqueFd> file = OpenFile(path_);
  if (!file.ok()) {
    LogError("access log not reopened, the old file stays",
             {{"error", std::string(file.status().message())}});
    return;
  }
  file_ = *std::move(file);
  LogInfo("access log reopened", {{"file", path_}});
}

bool AccessLog::TakeLines(std::string& lines, uint64_t& count) {
  lines.clear();
  count = 0;
  // Entries tell the time by a clock that knows no date.
  const WallTime wall_now = std::chrono::system_clock::now();
  const Instant now = std::chrono::steady_clock::now();
  for (const auto& worker : workers_) {
    AccessEntry entry;
    while (lines.size() < kWriteBytes && worker->ring.Take(entry)) {
      entry.record.ended =
          wall_now - std::chrono::duration_cast<WallTime::duration>(now - entry.ended);
      AppendAccessLine(format_, entry.record, lines);
      ++count;
    }
  }
  return count > 0;
}

void AccessLog::Write(const std::string& lines, uint64_t count) {
  std::string_view rest = lines;
  while (!rest.empty()) {
    const ssize_t n = write(file_.get(), rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      unwritten_.Add(count);
      if (!std::exchange(failing_, true)) {
        LogError("access log not written", {{"file", path_}, {"error", std::strerror(errno)}});
      }
      return;
    }
    rest.remove_prefix(static_cast<size_t>(n));
  }
  failing_ = false;
  lines_.Add(count);
}

}  // namespace pando::proxy
