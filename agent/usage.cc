#include "agent/usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <unordered_map>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/runtime/unique_fd.h"

namespace pando::agent {
namespace {

constexpr int kMaxCountedFds = 100'000;

double TickSeconds() { return 1.0 / static_cast<double>(sysconf(_SC_CLK_TCK)); }

// Of a process, with one read: the kernel makes it as a whole.
std::string ReadProcessStat(pid_t pid) {
  char text[1'024];
  const UniqueFd fd(open(absl::StrCat("/proc/", pid, "/stat").c_str(), O_RDONLY | O_CLOEXEC));
  const ssize_t size = fd.valid() ? read(fd.get(), text, sizeof(text)) : 0;
  return std::string(text, size > 0 ? static_cast<size_t>(size) : 0);
}

// Files of /proc tell no size and are short.
std::string ReadProc(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  if (!fd.valid()) return text;
  std::array<char, 4096> chunk{};
  ssize_t size = 0;
  while ((size = read(fd.get(), chunk.data(), chunk.size())) > 0) {
    text.append(chunk.data(), static_cast<size_t>(size));
  }
  return text;
}

// Calls `each` with the number of every entry of `path` that is one.
template <class Each>
void ForEachNumber(const std::string& path, Each each) {
  DIR* const dir = opendir(path.c_str());
  if (dir == nullptr) return;
  const absl::Cleanup close_dir = [dir] { closedir(dir); };
  while (const dirent* entry = readdir(dir)) {
    if (absl::ascii_isdigit(static_cast<unsigned char>(entry->d_name[0]))) {
      each(static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10)));
    }
  }
}

uint32_t CountFds(pid_t pid) {
  const std::string path = absl::StrCat("/proc/", pid, "/fd");
  struct stat info = {};
  // Since Linux 6.2 the directory's size is the answer.
  if (stat(path.c_str(), &info) == 0 && info.st_size > 0) {
    return static_cast<uint32_t>(info.st_size);
  }
  uint32_t count = 0;
  ForEachNumber(path, [&count](pid_t) {
    if (count < kMaxCountedFds) ++count;
  });
  return count;
}

}  // namespace

bool ParseProcessStat(const std::string& text, ProcessStat& into) {
  // The name, in parentheses, may hold anything: fields are counted behind the last one.
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos || name_end + 2 >= text.size()) return false;
  const std::vector<absl::string_view> fields =
      absl::StrSplit(absl::string_view(text).substr(name_end + 2), ' ');
  // proc(5) numbers from 1, and the third field is the first here.
  const auto number = [&fields](size_t field, auto* value) {
    return field - 3 < fields.size() && absl::SimpleAtoi(fields[field - 3], value);
  };
  uint64_t user = 0, system = 0, children_user = 0, children_system = 0;
  if (!number(4, &into.parent) || !number(14, &user) || !number(15, &system) ||
      !number(16, &children_user) || !number(17, &children_system) ||
      !number(24, &into.resident_pages)) {
    return false;
  }
  into.cpu_ticks = user + system;
  into.children_cpu_ticks = children_user + children_system;
  return true;
}

double ParseBusyTicks(const std::string& proc_stat) {
  // cpu  user nice system idle iowait irq softirq steal guest guest_nice; guests are in user.
  const std::vector<absl::string_view> fields = absl::StrSplit(
      absl::string_view(proc_stat).substr(0, proc_stat.find('\n')), ' ', absl::SkipEmpty());
  double busy = 0;
  for (size_t i = 1; i < fields.size() && i <= 8; ++i) {
    double ticks = 0;
    if (i != 4 && i != 5 && absl::SimpleAtod(fields[i], &ticks)) busy += ticks;
  }
  return busy;
}

uint64_t ParseKeyed(const std::string& text, const std::string& key) {
  size_t at = text.rfind("\n" + key, std::string::npos);
  at = text.compare(0, key.size(), key) == 0 ? 0 : (at == std::string::npos ? at : at + 1);
  if (at == std::string::npos) return 0;
  return std::strtoull(text.c_str() + at + key.size(), nullptr, 10);
}

std::map<pid_t, TreeUsage> ReadTreeUsage(const std::set<pid_t>& roots) {
  std::map<pid_t, TreeUsage> usage;
  if (roots.empty()) return usage;
  std::unordered_map<pid_t, ProcessStat> processes;
  ForEachNumber("/proc", [&processes](pid_t pid) {
    ProcessStat stat;
    if (ParseProcessStat(ReadProcessStat(pid), stat)) processes.emplace(pid, stat);
  });
  const double tick = TickSeconds();
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  for (const auto& [pid, stat] : processes) {
    if (roots.count(pid) > 0) {
      usage[pid].cpu_seconds += tick * static_cast<double>(stat.children_cpu_ticks);
      continue;
    }
    // Up to a root or to the top. Pids may be reused while the table is read, so parents could form
    // a ring: no chain is longer than the table.
    pid_t above = stat.parent;
    for (size_t steps = 0; above > 1 && roots.count(above) == 0; ++steps) {
      const auto parent = processes.find(above);
      above = parent == processes.end() || steps > processes.size() ? 0 : parent->second.parent;
    }
    if (above <= 1) continue;
    TreeUsage& tree = usage[above];
    tree.cpu_seconds += tick * static_cast<double>(stat.cpu_ticks + stat.children_cpu_ticks);
    tree.memory_bytes += page * stat.resident_pages;
    tree.open_fds += CountFds(pid);
    ++tree.processes;
  }
  return usage;
}

HostUsage ReadHostUsage(const std::string& disk_path) {
  HostUsage usage;
  usage.cpu_seconds = ParseBusyTicks(ReadProc("/proc/stat")) * TickSeconds();
  usage.load1 = std::strtod(ReadProc("/proc/loadavg").c_str(), nullptr);
  const std::string meminfo = ReadProc("/proc/meminfo");
  usage.memory_bytes = ParseKeyed(meminfo, "MemTotal:") * 1024;
  usage.memory_available_bytes = ParseKeyed(meminfo, "MemAvailable:") * 1024;
  usage.oom_kills = ParseKeyed(ReadProc("/proc/vmstat"), "oom_kill ");
  struct statvfs disk = {};
  if (statvfs(disk_path.c_str(), &disk) == 0) {
    usage.disk_bytes = uint64_t{disk.f_blocks} * disk.f_frsize;
    usage.disk_available_bytes = uint64_t{disk.f_bavail} * disk.f_frsize;
  }
  return usage;
}

}  // namespace pando::agent
