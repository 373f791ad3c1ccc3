// Control groups of version 2: one hierarchy, controllers enabled from the top down.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/cgroup.h"
#include "agent/cgroup_files.h"
#include "common/base/status_macros.h"

namespace pando::agent {
namespace {

constexpr uint64_t kPeriodMicros = 100'000;

class CgroupV2 final : public CgroupTree {
 public:
  explicit CgroupV2(std::string path)
      : path_(std::move(path)),
        limits_memory_(HasController("memory")),
        limits_cpu_(HasController("cpu")),
        limits_processes_(HasController("pids")) {}
  ~CgroupV2() override {
    // Both only when nobody is in them any more.
    rmdir(path_.c_str());
    rmdir(std::filesystem::path(path_).parent_path().c_str());
  }
  CgroupV2(const CgroupV2&) = delete;
  CgroupV2& operator=(const CgroupV2&) = delete;

  Cgroup At(const std::string& name) const override { return {absl::StrCat(path_, "/", name)}; }

  absl::Status Limit(const Cgroup& group, const CgroupLimits& limits) const override {
    const std::string& dir = group[0];
    if (limits.memory_bytes > 0 && limits_memory_) {
      PANDO_RETURN_IF_ERROR(WriteCgroupFile(dir, "memory.max", absl::StrCat(limits.memory_bytes)));
      // Memory is what is limited: without this, the rest would go on growing on the disk.
      WriteCgroupFile(dir, "memory.swap.max", "0").IgnoreError();
    }
    if (limits.cpu_millis > 0 && limits_cpu_) {
      const uint64_t quota = limits.cpu_millis * kPeriodMicros / 1'000;
      PANDO_RETURN_IF_ERROR(
          WriteCgroupFile(dir, "cpu.max", absl::StrCat(quota, " ", kPeriodMicros)));
    }
    if (limits.processes > 0 && limits_processes_) {
      PANDO_RETURN_IF_ERROR(WriteCgroupFile(dir, "pids.max", absl::StrCat(limits.processes)));
    }
    return absl::OkStatus();
  }

  CgroupUsage Read(const Cgroup& group) const override {
    CgroupUsage usage;
    if (group.empty()) return usage;
    const std::string& dir = group[0];
    usage.cpu_seconds =
        static_cast<double>(ReadCgroupNumber(dir, "cpu.stat", "usage_usec")) / 1'000'000;
    const uint64_t memory = ReadCgroupNumber(dir, "memory.current");
    usage.memory_bytes =
        memory - std::min(memory, ReadCgroupNumber(dir, "memory.stat", "inactive_file"));
    usage.oom_kills = ReadCgroupNumber(dir, "memory.events", "oom_kill");
    return usage;
  }

  bool limits_memory() const override { return limits_memory_; }
  bool limits_cpu() const override { return limits_cpu_; }
  bool limits_processes() const override { return limits_processes_; }

 private:
  // Of the instances' groups: enabled for the children of `path_`.
  bool HasController(absl::string_view name) const {
    return WriteCgroupFile(path_, "cgroup.subtree_control", absl::StrCat("+", name)).ok();
  }

  const std::string path_;
  const bool limits_memory_;
  const bool limits_cpu_;
  const bool limits_processes_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<CgroupTree>> OpenCgroupV2(const std::string& path) {
  PANDO_RETURN_IF_ERROR(MakeCgroupDirs(path));
  // A group has the controllers that the one above hands down; we made the two last ones.
  const std::filesystem::path top = std::filesystem::path(path).parent_path();
  for (const std::string& dir : {top.parent_path().string(), top.string()}) {
    for (const char* controller : {"+cpu", "+memory", "+pids"}) {
      WriteCgroupFile(dir, "cgroup.subtree_control", controller).IgnoreError();
    }
  }
  return std::make_unique<CgroupV2>(path);
}

}  // namespace pando::agent
