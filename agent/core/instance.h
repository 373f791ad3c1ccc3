// One instance's state machine: an assignment, the process that runs it, its health and its
// restarts. Used by Supervisor, which keeps them all; pure like it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "agent/core/assignment.h"
#include "agent/core/exit.h"
#include "agent/core/phase.h"
#include "agent/core/probe_schedule.h"
#include "common/base/ids.h"
#include "common/base/time.h"

namespace pando::agent {

// What is told about an instance; as InstanceStatus in agent.proto.
struct InstanceStatus {
  AssignmentId assignment;
  AppId app;
  uint32_t slot = 0;
  uint32_t revision = 0;
  Phase phase = Phase::kStarting;
  uint16_t port = 0;
  int64_t pid = 0;
  uint32_t incarnation = 0;
  uint32_t restarts = 0;
  uint32_t failed_starts = 0;
  int64_t started_unix_ms = 0;
  std::string detail;
  uint32_t crashes = 0;  // exits in a row, none after it was healthy for reset_after
  std::optional<Exit> last_exit;
  uint32_t oom_kills = 0;        // exits for want of memory
  uint64_t child_oom_kills = 0;  // children killed for want of memory, which this one outlived

  bool operator==(const InstanceStatus&) const = default;
};

// ---- what has to be done ----

// Answered by Started, or CannotStart (nothing runs then). After Preparing it may be taken back:
// then nothing is said of its incarnation any more.
struct Spawn {
  AssignmentId id;
  uint32_t incarnation = 0;
  uint16_t previous_port = 0;  // preferred when it is free; 0: none
  bool operator==(const Spawn&) const = default;
};
// Answered by Exited and Ended.
struct Stop {
  AssignmentId id;
  uint32_t incarnation = 0;
  StopPolicy policy;
  bool operator==(const Stop&) const = default;
};
// Answered by ProbeResult, always; the assignment says what is asked. One at a time.
struct Probe {
  AssignmentId id;
  uint32_t incarnation = 0;
  uint16_t port = 0;
  ProbeRole role = ProbeRole::kReadiness;
  bool operator==(const Probe&) const = default;
};
struct Report {
  InstanceStatus status;
  bool operator==(const Report&) const = default;
};
// Nothing of it runs and nobody wants it: say so and delete its files.
struct Gone {
  AssignmentId id;
  bool operator==(const Gone&) const = default;
};
using Action = std::variant<Spawn, Stop, Probe, Report, Gone>;
using Actions = std::vector<Action>;

// ---- what happened ----

struct Started {
  uint32_t incarnation = 0;
  int64_t pid = 0;
  uint16_t port = 0;
  int64_t started_unix_ms = 0;
};
struct CannotStart {  // no process was made, nothing of it runs
  uint32_t incarnation = 0;
  std::string reason;
};
struct Preparing {  // on the way to Started or CannotStart; may come again with another detail
  uint32_t incarnation = 0;
  std::string detail;
};
struct Exited {  // the process ended; what it left behind may still run
  uint32_t incarnation = 0;
  Exit exit;
};
struct Ended {  // nothing of the incarnation runs any more
  uint32_t incarnation = 0;
};
struct ProbeResult {
  uint32_t incarnation = 0;
  bool passed = false;
  std::string reason;  // why it failed
  // False: the host could not ask, which says nothing about the instance.
  bool asked = true;
};
struct MemoryUsed {  // only of an instance that nobody else holds to its limit
  uint32_t incarnation = 0;
  uint64_t bytes = 0;
};
struct OomKillsCounted {  // at each look, of all processes of the incarnation
  uint32_t incarnation = 0;
  uint64_t count = 0;
};
using InstanceEvent = std::variant<Started, CannotStart, Preparing, Exited, Ended, ProbeResult,
                                   MemoryUsed, OomKillsCounted>;

// What an earlier life of the agent left of an instance.
struct Remains {
  uint32_t incarnation = 0;
  Phase phase = Phase::kStarting;  // as remembered for this incarnation
  uint32_t failed_starts = 0;
  uint16_t port = 0;
  int64_t started_unix_ms = 0;
  int64_t pid = 0;            // 0: no process, `ended_because` says how it ended
  std::string ended_because;  // "exited with code 1", or empty when that is unknown
  std::optional<Exit> last_exit;
  uint32_t oom_kills = 0;
  uint64_t child_oom_kills = 0;  // as remembered for this incarnation
};

class Instance {
 public:
  explicit Instance(Assignment assignment) : assignment_(std::move(assignment)) {}

  const Assignment& assignment() const { return assignment_; }
  InstanceStatus Status() const;
  bool wanted() const { return wanted_; }
  bool has_process() const { return process_ != Process::kNone; }
  // Unwanted, with nothing left of it.
  bool gone() const { return !wanted_ && process_ == Process::kNone; }

  void Begin(Actions& actions) { StartNow(actions); }
  void Adopt(const Remains& remains, Instant now, double unit_random);
  // Stops it unless `wanted`. The way back is possible: it is started again once it stopped.
  void SetWanted(bool wanted, Actions& actions);
  // Stops it for good, though it is wanted (the agent ends).
  void Halt(Actions& actions);
  void On(const InstanceEvent& event, Instant now, double unit_random, Actions& actions);
  void Tick(Instant now, Actions& actions);
  // When Tick has something to do.
  std::optional<Instant> NextWake() const;
  // Appends a Report if what is told has changed.
  void ReportChange(Actions& actions);

 private:
  enum class Process { kNone, kSpawning, kRunning, kLingering };

  void StartNow(Actions& actions);
  void StopNow(Actions& actions);
  void OnStarted(const Started& started, Instant now, double unit_random, Actions& actions);
  void OnPreparing(const Preparing& preparing);
  void OnCannotStart(const CannotStart& failure, Instant now, double unit_random);
  void OnExited(const Exited& exited, Instant now, double unit_random);
  void OnEnded(Instant now, double unit_random);
  void OnProbeResult(const ProbeResult& result, Instant now, double unit_random, Actions& actions);
  void OnReadiness(ProbeState::Change change, Instant now);
  void OnLiveness(ProbeState::Change change, Actions& actions);
  void OnMemoryUsed(const MemoryUsed& used, Actions& actions);
  void OnOomKillsCounted(uint64_t count);
  void ScheduleStart(bool failed, Instant now, double unit_random);
  void ForgetAttemptsIfHealthyLongEnough(Instant now);

  Assignment assignment_;
  bool wanted_ = true;
  bool halted_ = false;
  Phase phase_ = Phase::kStarting;
  Process process_ = Process::kNone;
  std::optional<ProbeSchedule> probes_;
  uint32_t incarnation_ = 0;
  uint32_t failed_starts_ = 0;
  int attempt_ = 0;         // starts since it last was healthy for long
  bool was_ready_ = false;  // this incarnation
  bool stop_sent_ = false;
  bool over_memory_ = false;  // stopped for that
  bool hung_ = false;         // stopped for its liveness probe
  bool unasked_ = false;      // the detail says why probes cannot be sent
  uint16_t port_ = 0;         // kept after the exit: the next start prefers it
  int64_t pid_ = 0;
  int64_t started_unix_ms_ = 0;
  Instant start_at_{};
  Instant startup_deadline_{};
  std::optional<Instant> healthy_since_;
  std::string last_probe_failure_;
  std::string detail_;
  std::optional<Exit> last_exit_;
  uint32_t oom_kills_ = 0;
  uint64_t counted_oom_kills_ = 0;  // at the last look
  uint64_t child_oom_kills_ = 0;    // this incarnation
  std::optional<InstanceStatus> reported_;
};

}  // namespace pando::agent
