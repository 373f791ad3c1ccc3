// Control groups: what holds the processes of an instance together, counts what they use and keeps
// them to their limits. Two kinds of kernel interface, version 1 (a hierarchy per controller) and
// version 2 (one for all), behind one small interface; a host may have neither, or none that may be
// written to.
//
// A group belongs to one assignment and is made anew at each start, so its counters are those of
// the incarnation. The shim puts the app into it before exec (see shim/app_process.h).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace pando::agent {

// 0 is "no limit".
struct CgroupLimits {
  uint32_t cpu_millis = 0;
  uint64_t memory_bytes = 0;
  uint32_t processes = 0;  // and threads: the kernel counts both
};

struct CgroupUsage {
  double cpu_seconds = 0;
  uint64_t memory_bytes = 0;  // without cached files that can be dropped at once
  uint64_t oom_kills = 0;
};

// The directories of one group, one in each hierarchy; the first one is enough to find its
// processes. Empty: there is no group.
using Cgroup = std::vector<std::string>;

// Where the instances' groups are made. Used on any thread.
class CgroupTree {
 public:
  virtual ~CgroupTree() = default;

  virtual Cgroup At(const std::string& name) const = 0;
  // An empty group, limited. kUnavailable: the processes of an earlier start are not gone yet.
  absl::Status Make(const Cgroup& group, const CgroupLimits& limits) const;
  virtual absl::Status Limit(const Cgroup& group, const CgroupLimits& limits) const = 0;
  // What cannot be read is 0.
  virtual CgroupUsage Read(const Cgroup& group) const = 0;
  // What it can hold a group to.
  virtual bool limits_memory() const = 0;
  virtual bool limits_cpu() const = 0;
  virtual bool limits_processes() const = 0;
};

// False while processes are in it. Does nothing to what does not exist.
bool RemoveCgroup(const Cgroup& group);

struct CgroupMount {
  bool is_v2 = false;
  std::string root;  // what of the hierarchy is seen at `path`
  std::string path;
  std::vector<std::string> controllers;  // version 1: "cpu", "cpuacct"
};
// Of a text like /proc/self/mountinfo.
std::vector<CgroupMount> ParseCgroupMounts(const std::string& mountinfo);

// Directories that are ours: in each of the mounts, by controller.
struct CgroupPlace {
  std::string controller;  // version 2: empty
  std::string path;
};
// Version 2 at the top of the hierarchy, since a group of it may not have both processes and
// children; version 1 below the group the agent is in. `own_groups` is a text like
// /proc/self/cgroup.
std::vector<CgroupPlace> FindCgroupPlaces(const std::vector<CgroupMount>& mounts,
                                          const std::string& own_groups, bool v2);

// The tree of this host at "pando/<name>": version 2 where it holds memory, else version 1. The
// error says why there is none.
absl::StatusOr<std::unique_ptr<CgroupTree>> OpenCgroupTree(const std::string& name);

// Each takes directories that exist and is for instances alone; it removes them at its end, if they
// are empty. kUnimplemented: nothing could be limited there.
absl::StatusOr<std::unique_ptr<CgroupTree>> OpenCgroupV2(const std::string& path);
absl::StatusOr<std::unique_ptr<CgroupTree>> OpenCgroupV1(std::vector<CgroupPlace> places);

}  // namespace pando::agent
