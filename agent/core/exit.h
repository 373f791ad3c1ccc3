// How an instance's process ended, and how that is told to people.
#pragma once

#include <cstdint>
#include <string>

namespace pando::agent {

struct Exit {
  int code = 0;
  int signal = 0;          // not 0: killed by it
  uint64_t oom_kills = 0;  // processes of the instance that were killed for want of memory
  int64_t cpu_ms = 0;      // of the app and the children it waited for
  uint64_t max_resident_bytes = 0;

  bool operator==(const Exit&) const = default;
};

// The app itself ended for want of memory, not one of its children some time before.
bool WasOomKilled(const Exit& exit);

// "2 of its child processes were OOMKilled at 512 MiB"; `max_memory_bytes` is what they are held
// to.
std::string DescribeChildOomKills(uint64_t count, uint64_t max_memory_bytes);

// "exited with code 1", "killed by signal 9 (SIGKILL)", "OOMKilled at 512 MiB"; and what was killed
// before it.
// `max_memory_bytes` is what it was held to; 0: to nothing.
std::string DescribeExit(const Exit& exit, uint64_t max_memory_bytes);

// "512 MiB", "1.5 GiB": in the largest unit that is not more than it, with one decimal at most.
std::string DescribeBytes(uint64_t bytes);

}  // namespace pando::agent
