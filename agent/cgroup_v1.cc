// Control groups of version 1: a hierarchy for each controller, or for a few together.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/cgroup.h"
#include "agent/cgroup_files.h"
#include "common/base/status_macros.h"

namespace pando::agent {
namespace {

constexpr uint64_t kPeriodMicros = 100'000;

class CgroupV1 final : public CgroupTree {
 public:
  explicit CgroupV1(std::vector<CgroupPlace> places) : places_(std::move(places)) {}
  ~CgroupV1() override {
    for (const CgroupPlace& place : places_) {
      // Both only when nobody is in them any more.
      rmdir(place.path.c_str());
      rmdir(std::filesystem::path(place.path).parent_path().c_str());
    }
  }
  CgroupV1(const CgroupV1&) = delete;
  CgroupV1& operator=(const CgroupV1&) = delete;

  Cgroup At(const std::string& name) const override {
    Cgroup group;
    for (const CgroupPlace& place : places_) {
      std::string dir = absl::StrCat(place.path, "/", name);
      // Controllers that share a hierarchy share the directory.
      if (std::find(group.begin(), group.end(), dir) == group.end())
        group.push_back(std::move(dir));
    }
    return group;
  }

  absl::Status Limit(const Cgroup& group, const CgroupLimits& limits) const override {
    const std::string memory = DirOf("memory", "memory.limit_in_bytes", group);
    if (limits.memory_bytes > 0 && !memory.empty()) {
      const std::string bytes = absl::StrCat(limits.memory_bytes);
      PANDO_RETURN_IF_ERROR(WriteCgroupFile(memory, "memory.limit_in_bytes", bytes));
      // Memory and swap together; kernels that do not count swap have no such file.
      WriteCgroupFile(memory, "memory.memsw.limit_in_bytes", bytes).IgnoreError();
    }
    const std::string cpu = DirOf("cpu", "cpu.cfs_quota_us", group);
    if (limits.cpu_millis > 0 && !cpu.empty()) {
      const uint64_t quota = limits.cpu_millis * kPeriodMicros / 1'000;
      PANDO_RETURN_IF_ERROR(WriteCgroupFile(cpu, "cpu.cfs_period_us", absl::StrCat(kPeriodMicros)));
      PANDO_RETURN_IF_ERROR(WriteCgroupFile(cpu, "cpu.cfs_quota_us", absl::StrCat(quota)));
    }
    const std::string pids = DirOf("pids", "pids.max", group);
    if (limits.processes > 0 && !pids.empty()) {
      PANDO_RETURN_IF_ERROR(WriteCgroupFile(pids, "pids.max", absl::StrCat(limits.processes)));
    }
    return absl::OkStatus();
  }

  CgroupUsage Read(const Cgroup& group) const override {
    CgroupUsage usage;
    const std::string cpu = DirOf("cpuacct", "cpuacct.usage", group);
    usage.cpu_seconds = static_cast<double>(ReadCgroupNumber(cpu, "cpuacct.usage")) / 1e9;
    const std::string memory = DirOf("memory", "memory.limit_in_bytes", group);
    const uint64_t bytes = ReadCgroupNumber(memory, "memory.usage_in_bytes");
    usage.memory_bytes =
        bytes - std::min(bytes, ReadCgroupNumber(memory, "memory.stat", "total_inactive_file"));
    usage.oom_kills = ReadCgroupNumber(memory, "memory.oom_control", "oom_kill");
    return usage;
  }

  bool limits_memory() const override { return Has("memory"); }
  bool limits_cpu() const override { return Has("cpu"); }
  bool limits_processes() const override { return Has("pids"); }

 private:
  bool Has(absl::string_view controller) const {
    return std::any_of(places_.begin(), places_.end(), [controller](const CgroupPlace& place) {
      return place.controller == controller;
    });
  }

  // The directory in the controller's hierarchy; empty: none. One of an earlier life of the agent,
  // which may have made its groups elsewhere, is known by a file it has.
  std::string DirOf(absl::string_view controller, absl::string_view file,
                    const Cgroup& group) const {
    for (const CgroupPlace& place : places_) {
      if (place.controller != controller) continue;
      for (const std::string& dir : group) {
        if (absl::StartsWith(dir, absl::StrCat(place.path, "/"))) return dir;
      }
    }
    for (const std::string& dir : group) {
      if (HasCgroupFile(dir, file)) return dir;
    }
    return "";
  }

  const std::vector<CgroupPlace> places_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<CgroupTree>> OpenCgroupV1(std::vector<CgroupPlace> places) {
  absl::Status problem = absl::UnimplementedError("no controller");
  std::vector<CgroupPlace> usable;
  for (CgroupPlace& place : places) {
    absl::Status made = MakeCgroupDirs(place.path);
    if (made.ok() && access(place.path.c_str(), W_OK) != 0) {
      made = absl::ErrnoToStatus(errno, absl::StrCat("cannot write to ", place.path));
    }
    if (made.ok()) {
      usable.push_back(std::move(place));
    } else {
      problem = std::move(made);
    }
  }
  if (usable.empty()) return problem;
  return std::make_unique<CgroupV1>(std::move(usable));
}

}  // namespace pando::agent
