#include "agent/core/instance.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace pando::agent {
namespace {

// "30 s", "1.5 s", "800 ms".
std::string DescribeDuration(Millis duration) {
  if (duration < Millis{1'000}) return absl::StrCat(duration.count(), " ms");
  return absl::StrCat(static_cast<double>(duration.count()) / 1'000, " s");
}

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

}  // namespace

InstanceStatus Instance::Status() const {
  const bool runs = process_ == Process::kRunning;
  const bool tells_of_children = runs && child_oom_kills_ > 0 && detail_.empty();
  return {.assignment = assignment_.id,
          .app = assignment_.app,
          .slot = assignment_.slot,
          .revision = assignment_.revision,
          .phase = phase_,
          .port = runs ? port_ : uint16_t{0},
          .pid = runs ? pid_ : 0,
          .incarnation = incarnation_,
          .restarts = incarnation_ > 0 ? incarnation_ - 1 : 0,
          .failed_starts = failed_starts_,
          .started_unix_ms = started_unix_ms_,
          .detail = tells_of_children
                        ? DescribeChildOomKills(child_oom_kills_, assignment_.limits.memory_bytes)
                        : detail_,
          .crashes = static_cast<uint32_t>(attempt_),
          .last_exit = last_exit_,
          .oom_kills = oom_kills_,
          .child_oom_kills = child_oom_kills_};
}

void Instance::Adopt(const Remains& remains, Instant now, double unit_random) {
  incarnation_ = remains.incarnation;
  failed_starts_ = remains.failed_starts;
  attempt_ = static_cast<int>(remains.failed_starts);
  port_ = remains.port;
  started_unix_ms_ = remains.started_unix_ms;
  last_exit_ = remains.last_exit;
  oom_kills_ = remains.oom_kills;
  child_oom_kills_ = remains.child_oom_kills;
  if (remains.pid == 0) {
    detail_ = remains.ended_because;
    phase_ = Next(phase_, Event::kExited);
    ScheduleStart(/*failed=*/false, now, unit_random);
    return;
  }
  process_ = Process::kRunning;
  pid_ = remains.pid;
  startup_deadline_ = now + assignment_.probe.startup;
  // Its health is as remembered: an agent's restart takes no instance out of rotation. Probes tell
  // soon enough when that is no longer true.
  was_ready_ = remains.phase == Phase::kReady || remains.phase == Phase::kUnhealthy;
  if (was_ready_) phase_ = Next(phase_, Event::kProbePassed);
  if (remains.phase == Phase::kUnhealthy) phase_ = Next(phase_, Event::kProbeFailed);
  if (phase_ == Phase::kReady) healthy_since_ = now;
  probes_.emplace(assignment_, was_ready_, now, unit_random);
}

void Instance::SetWanted(bool wanted, Actions& actions) {
  wanted_ = wanted;
  if (!wanted) StopNow(actions);
}

void Instance::Halt(Actions& actions) {
  halted_ = true;
  StopNow(actions);
}

void Instance::StartNow(Actions& actions) {
  phase_ = Next(phase_, Event::kSpawn);
  process_ = Process::kSpawning;
  ++incarnation_;
  was_ready_ = false;
  stop_sent_ = false;
  over_memory_ = false;
  hung_ = false;
  unasked_ = false;
  counted_oom_kills_ = 0;
  child_oom_kills_ = 0;
  healthy_since_.reset();
  probes_.reset();
  last_probe_failure_.clear();
  actions.push_back(Spawn{assignment_.id, incarnation_, port_});
}

void Instance::StopNow(Actions& actions) {
  if (process_ == Process::kNone || process_ == Process::kLingering) return;
  if (phase_ == Phase::kPreparing) {  // nothing runs yet, and what is prepared may take minutes
    process_ = Process::kNone;
    phase_ = Next(phase_, Event::kExited);
    return;
  }
  phase_ = Next(phase_, Event::kStop);
  probes_.reset();
  if (process_ == Process::kRunning && !stop_sent_) {
    stop_sent_ = true;
    actions.push_back(Stop{assignment_.id, incarnation_, assignment_.stop});
  }
}

void Instance::On(const InstanceEvent& event, Instant now, double unit_random, Actions& actions) {
  // What an earlier incarnation still had to say does not matter any more.
  const uint32_t incarnation =
      std::visit([](const auto& one) -> uint32_t { return one.incarnation; }, event);
  if (incarnation != incarnation_) return;
  std::visit(
      Overloaded{
          [&](const Started& started) { OnStarted(started, now, unit_random, actions); },
          [&](const Preparing& preparing) { OnPreparing(preparing); },
          [&](const CannotStart& failure) { OnCannotStart(failure, now, unit_random); },
          [&](const Exited& exited) { OnExited(exited, now, unit_random); },
          [&](const Ended&) { OnEnded(now, unit_random); },
          [&](const ProbeResult& result) { OnProbeResult(result, now, unit_random, actions); },
          [&](const MemoryUsed& used) { OnMemoryUsed(used, actions); },
          [&](const OomKillsCounted& counted) { OnOomKillsCounted(counted.count); },
      },
      event);
}

void Instance::OnStarted(const Started& started, Instant now, double unit_random,
                         Actions& actions) {
  if (process_ != Process::kSpawning) return;
  process_ = Process::kRunning;
  pid_ = started.pid;
  port_ = started.port;
  started_unix_ms_ = started.started_unix_ms;
  startup_deadline_ = now + assignment_.probe.startup;
  if (phase_ == Phase::kStopping) {  // told while it was being started
    StopNow(actions);
    return;
  }
  if (phase_ == Phase::kPreparing) {
    phase_ = Next(phase_, Event::kSpawn);
    detail_.clear();
  }
  probes_.emplace(assignment_, /*was_ready=*/false, now, unit_random);
}

void Instance::OnPreparing(const Preparing& preparing) {
  if (process_ != Process::kSpawning) return;
  phase_ = Next(phase_, Event::kPrepare);
  if (phase_ == Phase::kPreparing) detail_ = preparing.detail;
}

void Instance::OnCannotStart(const CannotStart& failure, Instant now, double unit_random) {
  if (process_ != Process::kSpawning) return;
  process_ = Process::kNone;
  detail_ = failure.reason;
  phase_ = Next(phase_, Event::kCannotStart);
  ScheduleStart(/*failed=*/true, now, unit_random);
}

void Instance::OnExited(const Exited& exited, Instant now, double unit_random) {
  if (process_ != Process::kRunning && process_ != Process::kSpawning) return;
  process_ = Process::kLingering;
  probes_.reset();
  last_exit_ = exited.exit;
  if (over_memory_ || WasOomKilled(exited.exit)) ++oom_kills_;
  ForgetAttemptsIfHealthyLongEnough(now);
  healthy_since_.reset();
  if (!wanted_ || halted_) return;  // stays "stopping" until nothing is left
  // One that was stopped for a reason of its own (a start that took too long, a hang, too much
  // memory): the signal it ended by explains nothing.
  const bool explained = over_memory_ || hung_ || (stop_sent_ && !was_ready_);
  if (!explained) detail_ = DescribeExit(exited.exit, assignment_.limits.memory_bytes);
  phase_ = Next(phase_, Event::kExited);
  ScheduleStart(/*failed=*/!was_ready_, now, unit_random);
}

void Instance::OnEnded(Instant now, double unit_random) {
  if (process_ == Process::kNone) return;
  if (process_ != Process::kLingering) {
    // Its shim went without a word; whoever saw that has made sure that the app is gone as well.
    OnExited({incarnation_, {.signal = 9}}, now, unit_random);
    if (wanted_ && !halted_) detail_ = "its shim was killed, and the app with it";
  }
  process_ = Process::kNone;
  // Wanted again after its exit: it did not go on to wait for its next start then.
  if (wanted_ && !halted_) phase_ = Next(phase_, Event::kExited);
}

void Instance::OnProbeResult(const ProbeResult& result, Instant now, double unit_random,
                             Actions& actions) {
  if (!probes_) return;
  if (!result.passed) last_probe_failure_ = result.reason;
  if (!result.asked) {
    probes_->OnNotAsked(now, unit_random);
    unasked_ = true;
    detail_ = absl::StrCat("cannot be probed: ", result.reason);
    return;
  }
  if (std::exchange(unasked_, false)) detail_.clear();
  const ProbeSchedule::Outcome outcome = probes_->OnResult(result.passed, now, unit_random);
  if (outcome.role == ProbeRole::kReadiness) OnReadiness(outcome.change, now);
  if (outcome.role == ProbeRole::kLiveness) OnLiveness(outcome.change, actions);
}

void Instance::OnReadiness(ProbeState::Change change, Instant now) {
  if (change == ProbeState::Change::kPassed) {
    phase_ = Next(phase_, Event::kProbePassed);
    was_ready_ = true;
    failed_starts_ = 0;
    if (!healthy_since_) healthy_since_ = now;
    detail_.clear();
  } else if (change == ProbeState::Change::kFailed) {
    ForgetAttemptsIfHealthyLongEnough(now);
    healthy_since_.reset();
    phase_ = Next(phase_, Event::kProbeFailed);
    detail_ = absl::StrCat("probe failed: ", last_probe_failure_);
  }
}

void Instance::OnLiveness(ProbeState::Change change, Actions& actions) {
  if (change != ProbeState::Change::kFailed) return;
  hung_ = true;
  detail_ = absl::StrCat("liveness probe failed: ", last_probe_failure_);
  StopNow(actions);
}

void Instance::OnMemoryUsed(const MemoryUsed& used, Actions& actions) {
  const uint64_t limit = assignment_.limits.memory_bytes;
  if (limit == 0 || used.bytes <= limit || process_ != Process::kRunning || stop_sent_) return;
  over_memory_ = true;
  detail_ =
      absl::StrCat("OOMKilled at ", DescribeBytes(limit), ": it used ", DescribeBytes(used.bytes));
  StopNow(actions);
}

void Instance::OnOomKillsCounted(uint64_t count) {
  if (process_ != Process::kRunning) return;
  // Not what is new since the last look: it may be the app itself, whose exit is still on its way.
  child_oom_kills_ = std::max(child_oom_kills_, std::min(count, counted_oom_kills_));
  counted_oom_kills_ = count;
}

void Instance::ScheduleStart(bool failed, Instant now, double unit_random) {
  if (failed) ++failed_starts_;
  start_at_ = now + Backoff(assignment_.restart.backoff, attempt_, unit_random);
  ++attempt_;
}

void Instance::ForgetAttemptsIfHealthyLongEnough(Instant now) {
  if (healthy_since_ && now - *healthy_since_ >= assignment_.restart.reset_after) attempt_ = 0;
}

void Instance::Tick(Instant now, Actions& actions) {
  if (process_ == Process::kNone) {
    if (wanted_ && !halted_ && start_at_ <= now) StartNow(actions);
    return;
  }
  if (process_ != Process::kRunning) return;
  if (phase_ == Phase::kStarting && startup_deadline_ <= now) {
    detail_ = absl::StrCat("not ready within ", DescribeDuration(assignment_.probe.startup),
                           last_probe_failure_.empty() ? "" : ": ", last_probe_failure_);
    StopNow(actions);
    return;
  }
  if (!probes_) return;
  if (const auto due = probes_->due(); due && *due <= now) {
    actions.push_back(Probe{assignment_.id, incarnation_, port_, probes_->Sent()});
  }
}

std::optional<Instant> Instance::NextWake() const {
  if (process_ == Process::kNone) {
    if (!wanted_ || halted_) return std::nullopt;
    return start_at_;
  }
  if (process_ != Process::kRunning || phase_ == Phase::kStopping) return std::nullopt;
  std::optional<Instant> wake = probes_ ? probes_->due() : std::nullopt;
  if (phase_ == Phase::kStarting) {
    wake = wake ? std::min(*wake, startup_deadline_) : startup_deadline_;
  }
  return wake;
}

void Instance::ReportChange(Actions& actions) {
  // While it is being started, or what it left is cleared away, there is nothing new to say yet; a
  // few ms later there is.
  if (process_ == Process::kSpawning && phase_ != Phase::kPreparing) return;
  if (process_ == Process::kLingering && phase_ == Phase::kStopping) return;
  InstanceStatus status = Status();
  if (reported_ == status) return;
  actions.push_back(Report{status});
  reported_ = std::move(status);
}

}  // namespace pando::agent
