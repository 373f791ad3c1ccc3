#include "agent/remains.h"

#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/shim/group.h"
#include "agent/shim/start_time.h"
#include "common/runtime/data_dir.h"

namespace pando::agent {
namespace {

struct ProcStat {
  pid_t group = 0;
  pid_t session = 0;
  bool zombie = false;
};

std::optional<ProcStat> ReadProcStat(pid_t pid) {
  const auto text = ReadFile(absl::StrCat("/proc/", pid, "/stat"));
  if (!text.ok()) return std::nullopt;
  const size_t name_end = text->rfind(')');
  if (name_end == std::string::npos || name_end + 2 >= text->size()) return std::nullopt;
  // Behind the name: state ppid pgrp session ...
  const std::vector<absl::string_view> fields =
      absl::StrSplit(absl::string_view(*text).substr(name_end + 2), ' ');
  ProcStat stat;
  if (fields.size() < 4 || !absl::SimpleAtoi(fields[2], &stat.group) ||
      !absl::SimpleAtoi(fields[3], &stat.session)) {
    return std::nullopt;
  }
  stat.zombie = fields[0] == "Z" || fields[0] == "X";
  return stat;
}

// The kernel gives a number to nobody while a process, a group or a session bears it. So one that
// somebody else has as his pid is no group's or session's of ours any more.
bool IsReused(const ProcessId& id) {
  const uint64_t start_time = shim::ReadStartTime(id.pid);
  return start_time != 0 && start_time != id.start_time;
}

bool HasMark(pid_t pid, const std::string& mark) {
  const auto environment = ReadFile(absl::StrCat("/proc/", pid, "/environ"));
  if (!environment.ok()) return false;  // it has ended, or it is not ours to look at
  for (absl::string_view entry : absl::StrSplit(*environment, '\0')) {
    if (entry == mark) return true;
  }
  return false;
}

class Search {
 public:
  explicit Search(const Traces& traces)
      : traces_(traces),
        by_group_(traces.app && !IsReused(*traces.app) && !IsReused(traces.shim)),
        self_(getpid()) {}

  bool Finds(pid_t pid) const {
    const auto stat = ReadProcStat(pid);
    if (!stat || stat->zombie || pid == self_) return false;
    if (by_group_ && stat->group == traces_.app->pid && stat->session == traces_.shim.pid) {
      return true;
    }
    return !traces_.mark.empty() && HasMark(pid, traces_.mark);
  }

 private:
  const Traces& traces_;
  const bool by_group_;
  const pid_t self_;
};

int KillFound(const Traces& traces) {
  if (!traces.app && traces.mark.empty()) return 0;
  DIR* const proc = opendir("/proc");
  if (proc == nullptr) return 0;
  const absl::Cleanup close_proc = [proc] { closedir(proc); };
  const Search search(traces);
  int found = 0;
  while (const dirent* entry = readdir(proc)) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(entry->d_name, &pid) || !search.Finds(pid)) continue;
    // The descriptor names one process; asked again, the answer is about that one.
    const std::optional<UniqueFd> pidfd = OpenProcess({pid, shim::ReadStartTime(pid)});
    if (!pidfd || !search.Finds(pid)) continue;
    SignalProcess(*pidfd, SIGKILL);
    ++found;
  }
  return found;
}

}  // namespace

int KillRemains(const Traces& traces) {
  // All directories of a group hold the same processes.
  const int in_group = traces.group.empty() ? 0 : shim::KillGroup(traces.group[0].c_str());
  return in_group + KillFound(traces);
}

}  // namespace pando::agent
