#include "agent/agent_loop.h"

#include <chrono>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/log_reader.h"
#include "agent/translate.h"
#include "agent/utf8.h"
#include "common/runtime/log.h"

namespace pando::agent {
namespace {

constexpr uint32_t kLastLines = 4;
constexpr size_t kLastLineBytes = 200;
constexpr Millis kCollectDelay{1'000};

double UnitRandom(std::mt19937_64& generator) {
  return static_cast<double>(generator() >> 11) / static_cast<double>(uint64_t{1} << 53);
}

LogLevel LevelOf(Phase phase) {
  return phase == Phase::kFailed || phase == Phase::kBackoff || phase == Phase::kUnhealthy
             ? LogLevel::kWarn
             : LogLevel::kInfo;
}

}  // namespace

AgentLoop::AgentLoop(EventLoop& loop, AgentMetrics& metrics, AgentState& state,
                     LauncherConfig config, Uplink uplink, uint64_t seed)
    : loop_(loop),
      metrics_(metrics),
      state_(state),
      groups_(config.groups),
      uplink_(std::move(uplink)),
      random_(seed),
      supervisor_([this] { return UnitRandom(random_); }),
      artifacts_(loop, metrics.artifacts,
                 {.dir = state.ArtifactsPath(),
                  .controller = config.controller,
                  .shim_path = config.shim_path},
                 random_()),
      earlier_logs_(state.EarlierLogsPath()),
      launcher_(std::move(config), static_cast<uint32_t>(random_())),
      prober_(loop),
      adoption_(loop, {.found =
                           [this](Assignment assignment, FoundInstance found) {
                             OnFound(std::move(assignment), std::move(found));
                           },
                       .overdue = [this](const Assignment& assignment,
                                         const absl::Status& why) { OnOverdue(assignment, why); },
                       .later = [this] { OnFoundLater(); }}) {}

AgentLoop::~AgentLoop() = default;

std::vector<v1::InstanceStatus> AgentLoop::Statuses() const {
  std::vector<v1::InstanceStatus> statuses;
  for (const InstanceStatus& status : supervisor_.Statuses()) statuses.push_back(ToMessage(status));
  for (const auto& [id, status] : overdue_) statuses.push_back(ToProto(status));
  return statuses;
}

std::vector<UsageSampler::Subject> AgentLoop::UsageSubjects() const {
  std::vector<UsageSampler::Subject> subjects;
  for (const auto& [id, running] : running_) {
    if (running.shim_pid <= 0) continue;
    const Assignment* const assignment = supervisor_.Find(id);
    subjects.push_back({id, running.incarnation, running.shim_pid, running.group,
                        assignment != nullptr ? assignment->limits.memory_bytes : 0});
  }
  return subjects;
}

std::vector<DelayWatch::Subject> AgentLoop::PageSubjects() const {
  std::vector<DelayWatch::Subject> subjects;
  for (const auto& [id, running] : running_) {
    const Assignment* const assignment = supervisor_.Find(id);
    if (assignment == nullptr || assignment->metrics_path.empty()) continue;
    const InstanceStatus status = *supervisor_.StatusOf(id);
    if (status.phase != Phase::kReady && status.phase != Phase::kUnhealthy) continue;
    subjects.push_back({id, running.incarnation, status.port, assignment->metrics_path});
  }
  return subjects;
}

void AgentLoop::OnUsage(const std::map<AssignmentId, UsageSampler::InstanceUsage>& usage) {
  for (const auto& [id, used] : usage) {
    const auto running = running_.find(id);
    if (running == running_.end() || running->second.incarnation != used.incarnation) continue;
    const bool held =
        !running->second.group.empty() && groups_ != nullptr && groups_->limits_memory();
    if (!held) Feed(id, MemoryUsed{used.incarnation, used.usage.memory_bytes});
    if (used.oom_kills > 0) Feed(id, OomKillsCounted{used.incarnation, used.oom_kills});
  }
}

std::string AgentLoop::InstancePath(const std::string& assignment_id) const {
  if (supervisor_.Find({assignment_id}) == nullptr) return "";
  return state_.InstanceOf(assignment_id).path();
}

std::string AgentLoop::EarlierLogPath(const std::string& assignment_id) const {
  const Assignment* const assignment = supervisor_.Find({assignment_id});
  return assignment != nullptr ? earlier_logs_.PathOf(*assignment) : "";
}

void AgentLoop::KeepLog(const InstanceDir& dir) const {
  v1::Orders order;
  const auto bytes = dir.ReadOrder();
  if (!bytes.ok() || !order.ParseFromString(*bytes)) return;
  const std::vector<Assignment> assignments = Ordered(order);
  if (assignments.size() == 1) earlier_logs_.Keep(dir.path(), assignments[0]);
}

void AgentLoop::StopInstances(std::function<void()> done) {
  halted_ = true;
  Actions actions;
  supervisor_.Halt(loop_.Now(), actions);
  CarryOut(actions);
  artifacts_.ForgetAll();
  for (const QueuedSpawn& queued : std::exchange(spawns_, {})) {
    Feed(queued.spawn.id, CannotStart{queued.spawn.incarnation, "the agent was stopped"});
  }
  on_stopped_ = std::move(done);
  CheckStopped();
}

void AgentLoop::Feed(const AssignmentId& id, const InstanceEvent& event) {
  Actions actions;
  supervisor_.On(id, event, loop_.Now(), actions);
  CarryOut(actions);
}

void AgentLoop::CarryOut(const Actions& actions) {
  for (const Action& action : actions) {
    std::visit([this](const auto& one) { Do(one); }, action);
  }
  ScheduleWake();
  CheckStopped();
}

void AgentLoop::Do(const Spawn& spawn) {
  const Assignment* const assignment = supervisor_.Find(spawn.id);
  if (assignment == nullptr) return;
  if (artifacts_.Ready(assignment->artifact)) return Enqueue(spawn);
  PrepareThenSpawn(spawn, assignment->artifact);
}

void AgentLoop::PrepareThenSpawn(const Spawn& spawn, const Artifact& artifact) {
  artifacts_.Prepare(
      spawn.id, artifact,
      {.told =
           [this, spawn](const std::string& detail) {
             Feed(spawn.id, Preparing{spawn.incarnation, detail});
           },
       .done =
           [this, spawn](const absl::Status& status, const std::vector<std::string>& lines) {
             if (status.ok()) return Enqueue(spawn);
             prepare_lines_[spawn.id] = lines;
             Feed(spawn.id, CannotStart{spawn.incarnation, std::string(status.message())});
           }});
}

void AgentLoop::CollectArtifactsSoon() {
  if (std::exchange(collecting_, true)) return;
  Later(kCollectDelay, [this] {
    collecting_ = false;
    std::vector<Artifact> needed;
    for (const auto& assignments : {supervisor_.Assignments(), adoption_.Sought()}) {
      for (const Assignment* assignment : assignments) {
        if (!assignment->artifact.digest.empty()) needed.push_back(assignment->artifact);
      }
    }
    artifacts_.Collect(needed);
  });
}

void AgentLoop::Enqueue(const Spawn& spawn) {
  spawns_.push_back({spawn, loop_.Now()});
  if (spawns_.size() == 1) Later(Millis{0}, [this] { SpawnNext(); });
}

void AgentLoop::SpawnNext() {
  if (spawns_.empty()) return;
  const QueuedSpawn queued = spawns_.front();
  SpawnNow(queued.spawn, queued.decided_at);
  if (!spawns_.empty()) spawns_.pop_front();
  if (!spawns_.empty()) Later(Millis{0}, [this] { SpawnNext(); });
}

void AgentLoop::SpawnNow(const Spawn& spawn, Instant decided_at) {
  const Assignment* const assignment = supervisor_.Find(spawn.id);
  if (assignment == nullptr) return;
  InstanceDir dir = state_.InstanceOf(spawn.id.value);
  const v1::Orders order =
      state_.orders() ? Excerpt(*state_.orders(), spawn.id.value) : v1::Orders();
  absl::Status created = dir.Create(order.SerializeAsString());
  absl::StatusOr<SpawnedShim> shim =
      created.ok() ? launcher_.Launch(*assignment, spawn, dir) : std::move(created);
  if (shim.ok()) {
    Watch(spawn.id, spawn.incarnation, *std::move(shim), decided_at);
  } else {
    Feed(spawn.id, CannotStart{spawn.incarnation, std::string(shim.status().message())});
  }
}

void AgentLoop::Watch(const AssignmentId& id, uint32_t incarnation, SpawnedShim shim,
                      std::optional<Instant> decided_at) {
  Running& running = running_[id];
  running.incarnation = incarnation;
  running.decided_at = decided_at;
  running.exit_told = false;
  running.probe_command.reset();
  running.shim_pid = shim.id.pid;
  running.group = shim.group;
  running.shim = std::make_unique<ShimClient>(
      loop_, std::move(shim),
      [this, id, incarnation](const ShimEvent& event) { OnShim(id, incarnation, event); });
}

void AgentLoop::OnShim(const AssignmentId& id, uint32_t incarnation, const ShimEvent& event) {
  if (const auto* started = std::get_if<ShimRunning>(&event)) {
    if (const auto decided_at = std::exchange(running_[id].decided_at, std::nullopt)) {
      metrics_.starts_total.Increment();
      metrics_.spawn_seconds.Observe(
          std::chrono::duration<double>(loop_.Now() - *decided_at).count());
    }
    Feed(id, Started{incarnation, started->app.pid, started->port, started->started_unix_ms});
  } else if (const auto* failed = std::get_if<ShimFailed>(&event)) {
    running_[id].failure = failed->reason;  // told when the shim is gone and its lock free
  } else if (const auto* exited = std::get_if<ShimExited>(&event)) {
    OnExit(id, *exited);
  } else {
    OnShimEnded(id, incarnation);
  }
}

void AgentLoop::OnExit(const AssignmentId& id, const ShimExited& exited) {
  running_[id].exit_told = true;
  metrics_.exits_total.Increment();
  Feed(id, Exited{exited.incarnation, exited.exit});
}

void AgentLoop::OnShimEnded(const AssignmentId& id, uint32_t incarnation) {
  if (!running_[id].exit_told) {
    // One that ended just when an agent came back has told nobody, but it has kept it.
    const auto kept = state_.InstanceOf(id.value).ReadExit();
    if (kept && kept->incarnation == incarnation && kept->error.empty()) {
      OnExit(id, {incarnation, kept->exit});
    }
  }
  const std::string failure = running_[id].failure;
  RemoveCgroup(running_[id].group);  // busy: the next start tells
  running_.erase(id);
  if (failure.empty()) {
    Feed(id, Ended{incarnation});
  } else {
    Feed(id, CannotStart{incarnation, failure});
  }
}

void AgentLoop::Do(const Stop& stop) {
  const auto running = running_.find(stop.id);
  if (running == running_.end() || running->second.incarnation != stop.incarnation) return;
  running->second.shim->Stop(stop.policy.signal, stop.policy.grace);
}

void AgentLoop::Do(const Probe& probe) {
  const Assignment* const assignment = supervisor_.Find(probe.id);
  if (assignment == nullptr) return;
  const ProbePolicy& policy = PolicyOf(*assignment, probe.role);
  ProbeDone done = [this, alive = std::weak_ptr<char>(alive_), id = probe.id,
                    incarnation = probe.incarnation](const ProbeAnswer& answer) {
    if (alive.expired()) return;
    metrics_.probes_total.Increment();
    if (!answer.failure.empty()) metrics_.probe_failures_total.Increment();
    Feed(id, ProbeResult{incarnation, answer.failure.empty(), answer.failure, answer.asked});
  };
  if (policy.kind == ProbePolicy::Kind::kExec) {
    prober_.ProbeByCommand(probe.id, policy, ProbeCommandOf(*assignment, probe.port, policy),
                           std::move(done));
  } else {
    prober_.Probe(policy, probe.port, std::move(done));
  }
}

absl::StatusOr<ProbeCommand> AgentLoop::ProbeCommandOf(const Assignment& assignment, uint16_t port,
                                                       const ProbePolicy& policy) {
  // Made once: the app's environment, too, is what it was at its start.
  std::optional<ProbeCommand>& made = running_[assignment.id].probe_command;
  if (!made) {
    auto command =
        launcher_.MakeProbeCommand(assignment, state_.InstanceOf(assignment.id.value), port);
    if (!command.ok()) return command.status();
    made = *std::move(command);
  }
  ProbeCommand command = *made;
  command.argv = policy.command;
  return command;
}

void AgentLoop::Do(const Report& report) {
  const InstanceStatus& status = report.status;
  Log(LevelOf(status.phase), "instance changed",
      {{"instance", absl::StrCat(status.app.value, ".", status.slot)},
       {"phase", std::string(PhaseName(status.phase))},
       {"revision", absl::StrCat(status.revision)},
       {"port", absl::StrCat(status.port)},
       {"pid", absl::StrCat(status.pid)},
       {"restarts", absl::StrCat(status.restarts)},
       {"detail", status.detail}});
  metrics_.SetPhase(status.assignment, status.phase);
  ReadLastLines(status);
  uplink_.status(ToMessage(status));
  KeepState(status);  // last: the controller hears of an exit without waiting for the disk
}

void AgentLoop::KeepState(const InstanceStatus& status) {
  const StateRecord state{status.incarnation, status.phase, status.failed_starts, status.oom_kills,
                          status.child_oom_kills};
  StateRecord& kept = kept_states_[status.assignment];
  if (kept == state) return;
  // One that could not be written is written at the next change.
  kept = state_.InstanceOf(status.assignment.value).WriteState(state).ok() ? state : StateRecord{};
}

void AgentLoop::Do(const Gone& gone) {
  LogInfo("instance gone", {{"assignment", gone.id.value}});
  const InstanceDir dir = state_.InstanceOf(gone.id.value);
  metrics_.Forget(gone.id);
  last_lines_.erase(gone.id);
  prepare_lines_.erase(gone.id);
  kept_states_.erase(gone.id);
  artifacts_.Forget(gone.id);
  CollectArtifactsSoon();
  uplink_.closing(dir.path());
  uplink_.gone(gone.id.value);
  KeepLog(dir);
  dir.Remove();
}

void AgentLoop::ReadLastLines(const InstanceStatus& status) {
  if (status.phase == Phase::kReady) last_lines_.erase(status.assignment);
  if (const auto prepared = prepare_lines_.find(status.assignment);
      prepared != prepare_lines_.end()) {
    // Of a step before its own start: its log says nothing of this failure.
    std::vector<std::string> lines = std::move(prepared->second);
    prepare_lines_.erase(prepared);
    if (status.phase == Phase::kFailed) {
      last_lines_[status.assignment] = std::move(lines);
      return;
    }
  }
  // Once more when it starts again: what it printed at the very end may have come after the exit.
  const bool ended = status.phase == Phase::kBackoff || status.phase == Phase::kFailed;
  if (!ended && !(status.phase == Phase::kStarting && status.crashes > 0)) return;
  LogReader reader(state_.InstanceOf(status.assignment.value).path(), kLastLines);
  std::vector<std::string> lines;
  for (const LogLine& line : reader.Read(kLastLines, kLastLines * kLastLineBytes)) {
    lines.push_back(ToValidUtf8(line.text.substr(0, kLastLineBytes)));
  }
  if (!lines.empty()) last_lines_[status.assignment] = std::move(lines);
}

v1::InstanceStatus AgentLoop::ToMessage(const InstanceStatus& status) const {
  v1::InstanceStatus message = ToProto(status);
  const auto lines = last_lines_.find(status.assignment);
  if (lines == last_lines_.end()) return message;
  for (const std::string& line : lines->second) message.add_last_lines(line);
  return message;
}

void AgentLoop::ScheduleWake() {
  const auto next = supervisor_.NextWake();
  if (!next || (wake_at_ && *wake_at_ <= *next)) return;
  wake_at_ = *next;
  // Rounded up: a wake a little early would find nothing to do.
  const auto delay = std::chrono::ceil<Millis>(*next - loop_.Now());
  Later(std::max(delay, Millis{0}), [this, at = *next] {
    if (wake_at_ == at) wake_at_.reset();
    Actions actions;
    supervisor_.Tick(loop_.Now(), actions);
    CarryOut(actions);
  });
}

void AgentLoop::CheckStopped() {
  if (!on_stopped_ || adoption_.expects_more() || !supervisor_.idle()) return;
  Later(Millis{0}, std::exchange(on_stopped_, nullptr));
}

void AgentLoop::Later(Millis delay, std::function<void()> task) {
  loop_.RunAfter(delay, [alive = std::weak_ptr<char>(alive_), task = std::move(task)] {
    if (!alive.expired()) task();
  });
}

}  // namespace pando::agent
