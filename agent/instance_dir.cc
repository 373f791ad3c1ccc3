#include "agent/instance_dir.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <map>
#include <system_error>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "agent/shim/protocol.h"
#include "common/base/status_macros.h"
#include "common/runtime/data_dir.h"

namespace pando::agent {
namespace {

constexpr char kOrderFile[] = "order.pb";
constexpr char kLockFile[] = "lock";
constexpr char kStateFile[] = "state";
constexpr char kCgroupFile[] = "cgroup";

// Lines of "name=value".
class Fields {
 public:
  explicit Fields(const std::string& text) {
    for (absl::string_view line : absl::StrSplit(text, '\n')) {
      const std::pair<absl::string_view, absl::string_view> field =
          absl::StrSplit(line, absl::MaxSplits('=', 1));
      values_[std::string(field.first)] = std::string(field.second);
    }
  }

  const std::string& Text(const std::string& name) { return values_[name]; }
  template <class Number>
  void Read(const std::string& name, Number& number) {
    int64_t value = 0;
    if (absl::SimpleAtoi(values_[name], &value)) number = static_cast<Number>(value);
  }

 private:
  std::map<std::string, std::string> values_;
};

std::optional<Fields> ReadFields(const std::string& path) {
  const auto text = ReadFile(path);
  if (!text.ok()) return std::nullopt;
  return Fields(*text);
}

// As a whole, but not synced.
absl::Status WriteFast(const std::string& path, const std::string& text) {
  const std::string temporary = absl::StrCat(path, ".tmp");
  const UniqueFd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (fd.valid() &&
      write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
      rename(temporary.c_str(), path.c_str()) == 0) {
    return absl::OkStatus();
  }
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
}

constexpr size_t kStateBytes = 256;

// Over what is there: one write of a fixed size, which a kill does not cut in two. A new file each
// time is what file systems are slow at, once many have been deleted.
absl::Status WriteOver(const std::string& path, std::string text) {
  text.resize(std::max(text.size(), kStateBytes), '\n');
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (fd.valid() &&
      write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size())) {
    return absl::OkStatus();
  }
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
}

}  // namespace

bool IsSafeFileName(const std::string& name) {
  return !name.empty() && name.size() <= 200 && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' ||
                  c == '_';
         });
}

absl::Status InstanceDir::Create(const std::string& order_bytes) {
  if (mkdir(path_.c_str(), 0700) != 0 && errno != EEXIST) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", path_));
  }
  const std::string order = absl::StrCat(path_, "/", kOrderFile);
  if (access(order.c_str(), F_OK) == 0) return absl::OkStatus();
  return WriteFast(order, order_bytes);
}

void InstanceDir::DropOrder() const { unlink(absl::StrCat(path_, "/", kOrderFile).c_str()); }

absl::StatusOr<std::string> InstanceDir::ReadOrder() const {
  return ReadFile(absl::StrCat(path_, "/", kOrderFile));
}

void InstanceDir::Remove() const {
  std::error_code ignored;  // what is left over is found and removed at the next start
  std::filesystem::remove_all(path_, ignored);
}

std::optional<RunRecord> InstanceDir::ReadRun() const {
  auto fields = ReadFields(absl::StrCat(path_, "/", shim::kRunFile));
  if (!fields) return std::nullopt;
  RunRecord run;
  run.boot_id = fields->Text("boot_id");
  fields->Read("shim_pid", run.shim.pid);
  fields->Read("shim_start", run.shim.start_time);
  fields->Read("app_pid", run.app.pid);
  fields->Read("app_start", run.app.start_time);
  fields->Read("port", run.port);
  fields->Read("incarnation", run.incarnation);
  fields->Read("started_unix_ms", run.started_unix_ms);
  if (run.incarnation == 0) return std::nullopt;  // cut short by a power cut
  return run;
}

std::optional<ExitRecord> InstanceDir::ReadExit() const {
  auto fields = ReadFields(absl::StrCat(path_, "/", shim::kExitFile));
  if (!fields) return std::nullopt;
  ExitRecord record;
  fields->Read("incarnation", record.incarnation);
  fields->Read("code", record.exit.code);
  fields->Read("signal", record.exit.signal);
  fields->Read("oom_kills", record.exit.oom_kills);
  fields->Read("cpu_ms", record.exit.cpu_ms);
  fields->Read("max_resident_bytes", record.exit.max_resident_bytes);
  record.error = fields->Text("error");
  if (record.incarnation == 0) return std::nullopt;
  return record;
}

std::optional<StateRecord> InstanceDir::ReadState() const {
  auto fields = ReadFields(absl::StrCat(path_, "/", kStateFile));
  if (!fields) return std::nullopt;
  StateRecord state;
  fields->Read("incarnation", state.incarnation);
  fields->Read("failed_starts", state.failed_starts);
  fields->Read("oom_kills", state.oom_kills);
  fields->Read("child_oom_kills", state.child_oom_kills);
  const auto phase = ParsePhase(fields->Text("phase"));
  if (state.incarnation == 0 || !phase) return std::nullopt;
  state.phase = *phase;
  return state;
}

absl::Status InstanceDir::WriteState(const StateRecord& state) const {
  const std::string text =
      absl::StrCat("incarnation=", state.incarnation, "\nphase=", PhaseName(state.phase),
                   "\nfailed_starts=", state.failed_starts, "\noom_kills=", state.oom_kills,
                   "\nchild_oom_kills=", state.child_oom_kills, "\n");
  return WriteOver(absl::StrCat(path_, "/", kStateFile), text);
}

absl::Status InstanceDir::WriteCgroup(const Cgroup& group) const {
  const std::string path = absl::StrCat(path_, "/", kCgroupFile);
  const std::string text = absl::StrJoin(group, "\n");
  const auto kept = ReadFile(path);
  if (kept.ok() ? *kept == text : group.empty() && absl::IsNotFound(kept.status())) {
    return absl::OkStatus();
  }
  return WriteFast(path, text);
}

Cgroup InstanceDir::ReadCgroup() const {
  const auto text = ReadFile(absl::StrCat(path_, "/", kCgroupFile));
  if (!text.ok()) return {};
  Cgroup group = absl::StrSplit(*text, '\n', absl::SkipEmpty());
  // What is in these groups gets killed: none but one of this instance.
  const std::string name = std::filesystem::path(path_).filename();
  std::erase_if(group, [&name](const std::string& dir) {
    return !absl::EndsWith(dir, absl::StrCat("/", name));
  });
  return group;
}

absl::Status InstanceDir::MakeTmp() const {
  for (const char* name : {shim::kTmpDir, shim::kVarTmpDir}) {
    const std::string dir = absl::StrCat(path_, "/", name);
    std::error_code error;
    std::filesystem::remove_all(dir, error);
    // As /tmp is: for all, but each may delete only his own.
    if (error || mkdir(dir.c_str(), 0700) != 0 || chmod(dir.c_str(), 01777) != 0) {
      return absl::ErrnoToStatus(error ? error.value() : errno,
                                 absl::StrCat("isolation.private_tmp: cannot make ", dir));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> InstanceDir::Lock() const {
  UniqueFd fd(
      open(absl::StrCat(path_, "/", kLockFile).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path_, "/lock"));
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::UnavailableError("an earlier start of the instance still runs");
  }
  return fd;
}

absl::StatusOr<UniqueFd> InstanceDir::Connect() const {
  UniqueFd dir(open(path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!dir.valid() || !fd.valid()) return absl::ErrnoToStatus(errno, "cannot open the instance");
  // By way of the descriptor: a data directory's path may be longer than a socket's may.
  const std::string path = absl::StrCat("/proc/self/fd/", dir.get(), "/", shim::kSocketFile);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof(address.sun_path) - 1));
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return absl::ErrnoToStatus(errno, "the instance's shim does not answer");
  }
  return fd;
}

}  // namespace pando::agent
