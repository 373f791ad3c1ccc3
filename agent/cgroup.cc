#include "agent/cgroup.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/cgroup_files.h"
#include "common/base/status_macros.h"
#include "common/runtime/data_dir.h"

namespace pando::agent {
namespace {

constexpr char kTop[] = "pando";
// In order of importance: the first one is where an instance's processes are looked for.
constexpr absl::string_view kV1Controllers[] = {"pids", "memory", "cpu", "cpuacct"};

// The group of this process in the hierarchy of `controller`: lines are "4:memory:/a/b".
std::string OwnGroup(const std::string& own_groups, absl::string_view controller) {
  for (absl::string_view line : absl::StrSplit(own_groups, '\n')) {
    const std::vector<absl::string_view> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) continue;
    const std::vector<absl::string_view> names = absl::StrSplit(parts[1], ',');
    if (std::find(names.begin(), names.end(), controller) != names.end()) {
      return std::string(parts[2]);
    }
  }
  return "/";
}

// Where the group `group` is seen: a container sees a part of the hierarchy only.
std::string PathOf(const CgroupMount& mount, const std::string& group) {
  absl::string_view rest = group;
  if (mount.root != "/" && !absl::ConsumePrefix(&rest, mount.root)) rest = "/";
  return absl::StrCat(mount.path, rest == "/" ? "" : rest);
}

}  // namespace

absl::Status CgroupTree::Make(const Cgroup& group, const CgroupLimits& limits) const {
  if (!RemoveCgroup(group)) {
    return absl::UnavailableError("what an earlier start left cannot be killed");
  }
  for (const std::string& dir : group) PANDO_RETURN_IF_ERROR(MakeCgroupDirs(dir));
  return Limit(group, limits);
}

bool RemoveCgroup(const Cgroup& group) {
  bool removed = true;
  for (const std::string& dir : group) {
    if (rmdir(dir.c_str()) != 0 && errno != ENOENT) removed = false;
  }
  return removed;
}

std::vector<CgroupMount> ParseCgroupMounts(const std::string& mountinfo) {
  std::vector<CgroupMount> mounts;
  for (absl::string_view line : absl::StrSplit(mountinfo, '\n')) {
    // id parent major:minor root path options [optional]... - type source super-options
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 5 || fields.end() - dash < 4) continue;
    if (dash[1] != "cgroup" && dash[1] != "cgroup2") continue;
    CgroupMount mount{dash[1] == "cgroup2", std::string(fields[3]), std::string(fields[4]), {}};
    if (!mount.is_v2) {
      const std::vector<std::string> options = absl::StrSplit(dash[3], ',');
      mount.controllers = options;
    }
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

std::vector<CgroupPlace> FindCgroupPlaces(const std::vector<CgroupMount>& mounts,
                                          const std::string& own_groups, bool v2) {
  std::vector<CgroupPlace> places;
  for (const CgroupMount& mount : mounts) {
    if (v2 && mount.is_v2) places.push_back({"", absl::StrCat(mount.path, "/", kTop)});
  }
  if (v2) return places;
  for (absl::string_view controller : kV1Controllers) {
    for (const CgroupMount& mount : mounts) {
      const auto& named = mount.controllers;
      if (std::find(named.begin(), named.end(), controller) == named.end()) continue;
      const std::string own = PathOf(mount, OwnGroup(own_groups, controller));
      places.push_back({std::string(controller), absl::StrCat(own, "/", kTop)});
      break;
    }
  }
  return places;
}

absl::StatusOr<std::unique_ptr<CgroupTree>> OpenCgroupTree(const std::string& name) {
  PANDO_ASSIGN_OR_RETURN(const std::string mountinfo, ReadFile("/proc/self/mountinfo"));
  PANDO_ASSIGN_OR_RETURN(const std::string own_groups, ReadFile("/proc/self/cgroup"));
  const std::vector<CgroupMount> mounts = ParseCgroupMounts(mountinfo);
  absl::Status problem = absl::NotFoundError("no control groups are mounted");
  for (const CgroupPlace& place : FindCgroupPlaces(mounts, own_groups, /*v2=*/true)) {
    auto tree = OpenCgroupV2(absl::StrCat(place.path, "/", name));
    if (tree.ok() && (*tree)->limits_memory()) return tree;
    if (!tree.ok()) problem = std::move(tree).status();
  }
  std::vector<CgroupPlace> places = FindCgroupPlaces(mounts, own_groups, /*v2=*/false);
  for (CgroupPlace& place : places) absl::StrAppend(&place.path, "/", name);
  if (places.empty()) return problem;
  return OpenCgroupV1(std::move(places));
}

}  // namespace pando::agent
