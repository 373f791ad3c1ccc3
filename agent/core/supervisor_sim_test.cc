// The supervisor on a simulated host, from seeds, in virtual time: processes crash, hang, refuse
// to start; orders come and go; the agent itself is killed and starts anew.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>

#include "agent/core/supervisor.h"
#include "common/runtime/manual_executor.h"

namespace pando::agent {
namespace {

class Host {
 public:
  explicit Host(uint32_t seed) : rng_(seed) { supervisor_ = NewSupervisor(); }

  void Run() {
    for (int step = 0; step < 300; ++step) {
      const uint32_t dice = rng_() % 100;
      if (dice < 15) Reorder();
      if (dice == 99) RestartAgent();
      if (dice >= 60 && dice < 70) KillOne();
      Advance(Millis{rng_() % 700});
    }
    faults_ = false;
    Advance(std::chrono::minutes(1));
    ExpectConverged();
  }

 private:
  struct Process {
    uint32_t incarnation = 0;
    bool healthy = true;
  };

  Supervisor NewSupervisor() {
    return Supervisor([this] { return static_cast<double>(rng_() % 1'000) / 1'000; });
  }

  static Assignment MakeAssignment(const AssignmentId& id) {
    Assignment assignment;
    assignment.id = id;
    assignment.app = {"web"};
    assignment.probe.startup = Millis{3'000};
    assignment.stop.grace = Millis{1'000};
    assignment.restart = {{Millis{100}, Millis{5'000}}, Millis{10'000}};
    return assignment;
  }

  // Ids are never used again once they are gone, as the controller's.
  AssignmentId Name(int i) const {
    AssignmentId id{"web-" + std::to_string(i)};
    while (gone_.contains(id)) id.value += "x";
    return id;
  }

  void Reorder() {
    ordered_.clear();
    for (int i = 0; i < 8; ++i) {
      if (rng_() % 2 == 0) ordered_.insert(Name(i));
    }
    Order();
  }

  void Order() {
    std::vector<Assignment> wanted;
    for (const AssignmentId& id : ordered_) wanted.push_back(MakeAssignment(id));
    Actions actions;
    supervisor_.SetOrders(std::move(wanted), loop_.Now(), actions);
    Do(actions);
  }

  void KillOne() {
    if (processes_.empty()) return;
    auto victim = processes_.begin();
    std::advance(victim, rng_() % processes_.size());
    End(victim->first, victim->second.incarnation, 1);
  }

  // Everything in flight to the old supervisor is lost; what runs is found again.
  void RestartAgent() {
    ++life_;
    const std::vector<InstanceStatus> remembered = supervisor_.Statuses();
    supervisor_ = NewSupervisor();
    for (const InstanceStatus& status : remembered) {
      Remains remains;
      remains.incarnation = status.incarnation;
      remains.phase = status.phase;
      remains.failed_starts = status.failed_starts;
      const auto process = processes_.find(status.assignment);
      if (process != processes_.end()) {
        remains.incarnation = process->second.incarnation;
        remains.pid = 1;
        remains.port = 20'000;
      }
      supervisor_.Adopt(MakeAssignment(status.assignment), remains, loop_.Now());
    }
    Order();
  }

  void Do(const Actions& actions) {
    for (const Action& action : actions) {
      if (const auto* spawn = std::get_if<Spawn>(&action)) {
        ASSERT_FALSE(processes_.contains(spawn->id)) << spawn->id.value << " runs twice";
        ASSERT_GT(spawn->incarnation, last_incarnation_[spawn->id]);
        last_incarnation_[spawn->id] = spawn->incarnation;
        if (faults_ && rng_() % 5 == 0) {
          Feed(spawn->id, CannotStart{spawn->incarnation, "no"}, Millis{rng_() % 5});
          continue;
        }
        processes_[spawn->id] = {spawn->incarnation, !faults_ || rng_() % 4 != 0};
        Feed(spawn->id, Started{spawn->incarnation, 1, 20'000, 1}, Millis{rng_() % 5});
      } else if (const auto* stop = std::get_if<Stop>(&action)) {
        loop_.RunAfter(Millis{rng_() % 1'000},
                       [this, id = stop->id, n = stop->incarnation] { End(id, n, 0); });
      } else if (const auto* probe = std::get_if<Probe>(&action)) {
        ASSERT_TRUE(probing_.insert({life_, probe->id, probe->incarnation}).second)
            << "probes of " << probe->id.value << " pile up";
        loop_.RunAfter(Millis{rng_() % 500}, [this, p = *probe, life = life_] {
          probing_.erase({life, p.id, p.incarnation});
          if (life != life_) return;
          const auto process = processes_.find(p.id);
          const bool passed = process != processes_.end() && process->second.healthy &&
                              (!faults_ || rng_() % 10 != 0);
          FeedNow(p.id, ProbeResult{p.incarnation, passed, "bad luck"});
        });
      } else if (const auto* gone = std::get_if<Gone>(&action)) {
        ASSERT_FALSE(processes_.contains(gone->id)) << gone->id.value << " runs and is called gone";
        gone_.insert(gone->id);
      }
    }
    ScheduleWake();
  }

  void End(AssignmentId id, uint32_t incarnation, int code) {
    const auto process = processes_.find(id);
    if (process == processes_.end() || process->second.incarnation != incarnation) return;
    processes_.erase(process);
    Feed(id, Exited{incarnation, {code, 0}}, Millis{0});
    Feed(id, Ended{incarnation}, Millis{rng_() % 20});
  }

  // Events of one process keep their order, as those on a shim's socket do.
  void Feed(const AssignmentId& id, const InstanceEvent& event, Millis delay) {
    Instant& last = last_fed_[id];
    last = std::max(last, loop_.Now() + delay);
    loop_.RunAfter(std::chrono::duration_cast<Millis>(last - loop_.Now()),
                   [this, id, event, life = life_] {
                     if (life == life_) FeedNow(id, event);
                   });
  }

  void FeedNow(const AssignmentId& id, const InstanceEvent& event) {
    Actions actions;
    supervisor_.On(id, event, loop_.Now(), actions);
    Do(actions);
  }

  void ScheduleWake() {
    const auto wake = supervisor_.NextWake();
    if (!wake || (wake_at_ && *wake_at_ <= *wake && *wake_at_ > loop_.Now())) return;
    wake_at_ = std::max(*wake, loop_.Now());
    const auto delay = std::chrono::duration_cast<Millis>(*wake_at_ - loop_.Now());
    loop_.RunAfter(delay, [this] {
      wake_at_.reset();
      Actions actions;
      supervisor_.Tick(loop_.Now(), actions);
      Do(actions);
    });
  }

  void Advance(Millis by) { loop_.Advance(by); }

  void ExpectConverged() {
    std::set<AssignmentId> ready;
    for (const InstanceStatus& status : supervisor_.Statuses()) {
      // What was started unhealthy in the bad times stays so: nobody asks to restart it.
      const auto process = processes_.find(status.assignment);
      ASSERT_NE(process, processes_.end()) << status.assignment.value << " does not run";
      EXPECT_TRUE(status.phase == Phase::kReady || !process->second.healthy)
          << status.assignment.value << " is " << PhaseName(status.phase);
      ready.insert(status.assignment);
    }
    EXPECT_EQ(ready, ordered_);
    EXPECT_EQ(processes_.size(), ordered_.size());
  }

  std::mt19937 rng_;
  ManualExecutor loop_;
  Supervisor supervisor_{[] { return 0.0; }};
  std::set<AssignmentId> ordered_;
  std::map<AssignmentId, Process> processes_;
  std::set<AssignmentId> gone_;
  std::map<AssignmentId, uint32_t> last_incarnation_;
  std::map<AssignmentId, Instant> last_fed_;
  std::set<std::tuple<int, AssignmentId, uint32_t>> probing_;
  std::optional<Instant> wake_at_;
  bool faults_ = true;
  int life_ = 0;
};

TEST(SupervisorSim, RunsWhatIsOrderedOnceAndNothingElse) {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    Host host(seed);
    host.Run();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace pando::agent
