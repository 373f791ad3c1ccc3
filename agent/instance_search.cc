#include "agent/instance_search.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/environment.h"
#include "agent/remains.h"
#include "agent/shim/start_time.h"
#include "agent/shim_client.h"
#include "common/base/status_macros.h"
#include "common/runtime/log.h"

namespace pando::agent {
namespace {

// How the last incarnation ended, for one that does not run.
std::string DescribeEnd(const std::optional<RunRecord>& run, const std::optional<ExitRecord>& exit,
                        const std::string& boot_id, uint64_t max_memory_bytes) {
  if (exit && (!run || exit->incarnation >= run->incarnation)) {
    return exit->error.empty() ? DescribeExit(exit->exit, max_memory_bytes) : exit->error;
  }
  if (!run) return "";
  return run->boot_id != boot_id ? "the host was restarted" : "its shim was killed";
}

void Remember(const std::optional<StateRecord>& state, FoundInstance& found) {
  found.state = state;
  if (!state) return;
  found.remains.failed_starts = state->failed_starts;
  found.remains.oom_kills = state->oom_kills;
  if (state->incarnation != found.remains.incarnation) return;
  found.remains.phase = state->phase;
  found.remains.child_oom_kills = state->child_oom_kills;
}

}  // namespace

absl::StatusOr<FoundInstance> InstanceSearch::Look(bool late) {
  const auto lock = dir_.Lock();
  if (lock.ok()) return Ended(late);
  if (!absl::IsUnavailable(lock.status())) return lock.status();  // says nothing about the shim
  if (!shim_) PANDO_RETURN_IF_ERROR(Connect());
  if (const auto run = Recorded()) return Running(*run);
  PANDO_ASSIGN_OR_RETURN(const RunRecord run, Ask());
  return Running(run);
}

absl::Status InstanceSearch::Connect() {
  PANDO_ASSIGN_OR_RETURN(UniqueFd session, dir_.Connect());
  ucred peer = {};
  socklen_t size = sizeof(peer);
  if (getsockopt(session.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return absl::UnavailableError("the instance's shim has no pid");
  }
  // The shim's own pid, from its listen(): it holds the connection, so it runs.
  const ProcessId id{peer.pid, shim::ReadStartTime(peer.pid)};
  auto pidfd = OpenProcess(id);
  if (!pidfd) return absl::UnavailableError("the instance's shim has just ended");
  shim_.emplace();
  shim_->id = id;
  shim_->pidfd = *std::move(pidfd);
  shim_->session = std::move(session);
  return absl::OkStatus();
}

// Written by the very shim that runs, so it is of the app it runs: a shim starts only one. Should
// that have exited, the shim says so on the connection.
std::optional<RunRecord> InstanceSearch::Recorded() const {
  auto run = dir_.ReadRun();
  if (!run || run->boot_id != boot_id_ || run->shim != shim_->id) return std::nullopt;
  return run;
}

// What a shim without a record says, which it does once its app runs. Left for the session's
// reader.
absl::StatusOr<RunRecord> InstanceSearch::Ask() {
  char line[1'024];
  const ssize_t size = recv(shim_->session.get(), line, sizeof(line), MSG_PEEK | MSG_DONTWAIT);
  const absl::string_view text(line, size > 0 ? static_cast<size_t>(size) : 0);
  const size_t end = text.find('\n');
  if (end != absl::string_view::npos) {
    const auto event = ParseShimLine(text.substr(0, end));
    if (event && std::holds_alternative<ShimRunning>(*event)) {
      const auto& said = std::get<ShimRunning>(*event);
      return RunRecord{boot_id_,  shim_->id,        said.app,
                       said.port, said.incarnation, said.started_unix_ms};
    }
  }
  if (size == 0 || end != absl::string_view::npos) {
    shim_.reset();  // another one may come
    return absl::UnavailableError("the instance's shim is ending");
  }
  return absl::UnavailableError("the instance's shim runs and does not answer");
}

FoundInstance InstanceSearch::Running(const RunRecord& run) {
  FoundInstance found;
  found.remains.incarnation = run.incarnation;
  found.remains.port = run.port;
  found.remains.pid = run.app.pid;
  found.remains.started_unix_ms = run.started_unix_ms;
  Remember(dir_.ReadState(), found);
  found.shim = *std::exchange(shim_, std::nullopt);
  found.shim->app = run.app;
  found.shim->group = dir_.ReadCgroup();
  found.shim->mark = InstanceMark(dir_.path());
  return found;
}

absl::StatusOr<FoundInstance> InstanceSearch::Ended(bool late) const {
  const auto run = dir_.ReadRun();
  const auto exit = dir_.ReadExit();
  const auto state = dir_.ReadState();
  Traces traces{std::nullopt, {}, dir_.ReadCgroup(), ""};
  if (run && run->boot_id == boot_id_) {
    traces.mark = InstanceMark(dir_.path());
    traces.app = run->app;
    traces.shim = run->shim;
  }
  if (const int left = KillRemains(traces); left > 0) {
    if (!late) return absl::UnavailableError("what is left of the instance is still dying");
    // In uninterruptible sleep.
    LogWarn("what is left of an instance cannot be killed",
            {{"instance_dir", dir_.path()}, {"processes", absl::StrCat(left)}});
  }
  RemoveCgroup(traces.group);
  FoundInstance found;
  Remains& remains = found.remains;
  remains.ended_because = DescribeEnd(run, exit, boot_id_, max_memory_bytes_);
  if (exit && exit->error.empty()) remains.last_exit = exit->exit;
  if (run) remains.port = run->port;
  if (run) remains.started_unix_ms = run->started_unix_ms;
  remains.incarnation = std::max(
      {run ? run->incarnation : 0, exit ? exit->incarnation : 0, state ? state->incarnation : 0});
  Remember(state, found);
  return found;
}

}  // namespace pando::agent
