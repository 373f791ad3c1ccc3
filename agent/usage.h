// What processes and the host use, read from /proc. Reading blocks for microseconds a process; what
// cannot be read (it ended meanwhile, it is somebody else's) counts as nothing.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>

namespace pando::agent {

struct TreeUsage {
  double cpu_seconds = 0;     // of living processes and of those their parents have reaped
  uint64_t memory_bytes = 0;  // resident; pages shared by two processes count twice
  uint32_t open_fds = 0;
  uint32_t processes = 0;
};

// For each of `roots`, everything below it: its children, theirs, and so on. A root itself counts
// only by what its ended children used; for an instance the root is its shim, which adopts whatever
// loses its parent. One pass over /proc for all of them.
std::map<pid_t, TreeUsage> ReadTreeUsage(const std::set<pid_t>& roots);

struct HostUsage {
  double cpu_seconds = 0;  // busy, all CPUs together, since the host's start
  double load1 = 0;
  uint64_t memory_bytes = 0;
  uint64_t memory_available_bytes = 0;
  uint64_t disk_bytes = 0;
  uint64_t disk_available_bytes = 0;
  uint64_t oom_kills = 0;
};

// `disk_path` names the file system that is told of.
HostUsage ReadHostUsage(const std::string& disk_path);

// The parts that parse, for the tests: texts of /proc/PID/stat, /proc/stat, /proc/meminfo,
// /proc/vmstat.
struct ProcessStat {
  pid_t parent = 0;
  uint64_t cpu_ticks = 0;           // its own
  uint64_t children_cpu_ticks = 0;  // of those it reaped
  uint64_t resident_pages = 0;
};
bool ParseProcessStat(const std::string& text, ProcessStat& into);
double ParseBusyTicks(const std::string& proc_stat);
// The number after `key` at a line's start; 0 when there is none.
uint64_t ParseKeyed(const std::string& text, const std::string& key);

}  // namespace pando::agent
