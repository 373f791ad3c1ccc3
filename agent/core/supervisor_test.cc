#include "agent/core/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace pando::agent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const AssignmentId kWeb1{"web.1-a"};

Assignment Web(const AssignmentId& id = kWeb1) {
  Assignment assignment;
  assignment.id = id;
  assignment.app = {"web"};
  assignment.slot = 1;
  assignment.revision = 7;
  assignment.probe.startup = Millis{30'000};
  assignment.restart = {{Millis{100}, Millis{30'000}}, Millis{10'000}};
  return assignment;
}

class SupervisorTest : public testing::Test {
 protected:
  void SetOrders(std::vector<Assignment> wanted) {
    actions_.clear();
    supervisor_.SetOrders(std::move(wanted), now_, actions_);
  }
  void On(const InstanceEvent& event, const AssignmentId& id = kWeb1) {
    actions_.clear();
    supervisor_.On(id, event, now_, actions_);
  }
  void Advance(Millis by) {
    now_ += by;
    actions_.clear();
    supervisor_.Tick(now_, actions_);
  }
  // The pause until the supervisor wants to be called.
  Millis Wake() const {
    const auto wake = supervisor_.NextWake();
    return wake ? std::chrono::duration_cast<Millis>(*wake - now_) : Millis{-1};
  }
  template <class T>
  std::vector<T> Of() const {
    std::vector<T> found;
    for (const Action& action : actions_) {
      if (const T* one = std::get_if<T>(&action)) found.push_back(*one);
    }
    return found;
  }
  std::vector<Phase> ReportedPhases() const {
    std::vector<Phase> phases;
    for (const Report& report : Of<Report>()) phases.push_back(report.status.phase);
    return phases;
  }
  InstanceStatus Status() const { return supervisor_.Statuses().at(0); }
  void Start(uint32_t incarnation = 1) { On(Started{incarnation, 4711, 20001, 99}); }
  void MakeReady(uint32_t incarnation = 1) {
    Start(incarnation);
    Advance(Millis{10});
    ASSERT_EQ(Of<Probe>().size(), 1u);
    On(ProbeResult{incarnation, true, ""});
    ASSERT_EQ(Status().phase, Phase::kReady);
  }
  void Crash(uint32_t incarnation, int code = 1) {
    On(Exited{incarnation, {code, 0}});
    On(Ended{incarnation});
  }

  Instant now_{std::chrono::hours{1}};
  Supervisor supervisor_{[] { return 1.0; }};  // backoff delays in full
  Actions actions_;
};

TEST_F(SupervisorTest, StartsWhatIsMissingAndTellsWhenItIsReady) {
  SetOrders({Web()});
  EXPECT_THAT(actions_, ElementsAre(Action{Spawn{kWeb1, 1, 0}}));
  Start();
  EXPECT_THAT(ReportedPhases(), ElementsAre(Phase::kStarting));
  EXPECT_EQ(Status().port, 20001);
  EXPECT_EQ(Status().pid, 4711);
  Advance(Millis{10});
  EXPECT_THAT(actions_, ElementsAre(Action{Probe{kWeb1, 1, 20001, ProbeRole::kReadiness}}));
  On(ProbeResult{1, false, "refused"});
  EXPECT_THAT(actions_, IsEmpty());
  Advance(Wake());
  On(ProbeResult{1, true, ""});
  EXPECT_THAT(ReportedPhases(), ElementsAre(Phase::kReady));
  EXPECT_EQ(Status().restarts, 0u);
}

TEST_F(SupervisorTest, EqualOrdersChangeNothing) {
  SetOrders({Web()});
  MakeReady();
  SetOrders({Web()});
  EXPECT_THAT(actions_, IsEmpty());
}

TEST_F(SupervisorTest, StopsWhatIsNotOrderedAndSaysGoneWhenNothingIsLeft) {
  SetOrders({Web()});
  MakeReady();
  SetOrders({});
  EXPECT_THAT(Of<Stop>(), ElementsAre(Stop{kWeb1, 1, Web().stop}));
  EXPECT_THAT(ReportedPhases(), ElementsAre(Phase::kStopping));
  SetOrders({});
  EXPECT_THAT(Of<Stop>(), IsEmpty());  // told once
  On(Exited{1, {0, 15}});
  EXPECT_THAT(Of<Gone>(), IsEmpty());  // a grandchild may still run
  On(Ended{1});
  EXPECT_THAT(actions_, ElementsAre(Action{Gone{kWeb1}}));
  EXPECT_TRUE(supervisor_.Statuses().empty());
  EXPECT_EQ(supervisor_.NextWake(), std::nullopt);
}

TEST_F(SupervisorTest, AnExitIsToldAtOnceAndStartedAgainWhenNothingIsLeft) {
  SetOrders({Web()});
  MakeReady();
  On(Exited{1, {3, 0}});
  EXPECT_THAT(ReportedPhases(), ElementsAre(Phase::kBackoff));
  EXPECT_EQ(Status().detail, "exited with code 3");
  EXPECT_EQ(Status().port, 0);
  EXPECT_EQ(Status().pid, 0);
  Advance(Millis{1'000});
  EXPECT_THAT(actions_, IsEmpty());  // what it left behind still holds the port, perhaps
  On(Ended{1});
  Advance(Millis{0});
  EXPECT_THAT(actions_, ElementsAre(Action{Spawn{kWeb1, 2, 20001}}));
  MakeReady(2);
  EXPECT_EQ(Status().restarts, 1u);
  EXPECT_EQ(Status().detail, "");
}

TEST_F(SupervisorTest, BacksOffExponentiallyUntilItWasHealthyLongEnough) {
  SetOrders({Web()});
  uint32_t incarnation = 1;
  for (int delay : {100, 200, 400, 800}) {
    Start(incarnation);
    Crash(incarnation);
    EXPECT_EQ(Wake(), Millis{delay});
    EXPECT_EQ(Status().failed_starts, incarnation);
    Advance(Wake());
    ++incarnation;
  }
  MakeReady(incarnation);
  EXPECT_EQ(Status().failed_starts, 0u);
  Advance(Millis{9'000});  // not long enough
  Crash(incarnation);
  EXPECT_EQ(Wake(), Millis{1'600});
  Advance(Wake());
  MakeReady(++incarnation);
  Advance(Millis{10'000});
  Crash(incarnation);
  EXPECT_EQ(Wake(), Millis{100});
}

TEST_F(SupervisorTest, AStartThatIsNotReadyInTimeIsStoppedAndTriedAgain) {
  SetOrders({Web()});
  Start();
  Advance(Millis{10});
  On(ProbeResult{1, false, "connection refused"});
  Advance(Millis{30'000});
  EXPECT_THAT(Of<Stop>(), ElementsAre(Stop{kWeb1, 1, Web().stop}));
  EXPECT_EQ(Status().detail, "not ready within 30 s: connection refused");
  On(Exited{1, {0, 15}});
  EXPECT_EQ(Status().phase, Phase::kBackoff);
  EXPECT_EQ(Status().failed_starts, 1u);
  EXPECT_EQ(Status().detail, "not ready within 30 s: connection refused");
  On(Ended{1});
  Advance(Wake());
  EXPECT_THAT(Of<Spawn>(), ElementsAre(Spawn{kWeb1, 2, 20001}));
}

TEST_F(SupervisorTest, WhatCannotBeStartedIsFailedAndTriedAgainWithBackoff) {
  SetOrders({Web()});
  On(CannotStart{1, "no such file: /app/serve"});
  EXPECT_THAT(ReportedPhases(), ElementsAre(Phase::kFailed));
  EXPECT_EQ(Status().detail, "no such file: /app/serve");
  EXPECT_EQ(Wake(), Millis{100});
  Advance(Wake());
  On(CannotStart{2, "no such file: /app/serve"});
  EXPECT_EQ(Status().failed_starts, 2u);
  EXPECT_EQ(Wake(), Millis{200});
  SetOrders({});
  EXPECT_THAT(actions_, ElementsAre(Action{Gone{kWeb1}}));  // at once: nothing runs
}

TEST_F(SupervisorTest, IsStoppedAsSoonAsItIsStartedWhenOrderedAwayMeanwhile) {
  SetOrders({Web()});
  SetOrders({});
  EXPECT_THAT(actions_, IsEmpty());
  Start();
  EXPECT_THAT(Of<Stop>(), ElementsAre(Stop{kWeb1, 1, Web().stop}));
  Crash(1);
  EXPECT_THAT(Of<Gone>(), ElementsAre(Gone{kWeb1}));
}

TEST_F(SupervisorTest, OrderedBackWhileItStopsItComesBackAfterwards) {
  struct Case {
    std::string name;
    bool before_exit;
  };
  for (const Case& c : {Case{"before its exit", true}, Case{"after its exit", false}}) {
    SCOPED_TRACE(c.name);
    supervisor_ = Supervisor([] { return 1.0; });
    SetOrders({Web()});
    MakeReady();
    SetOrders({});
    if (c.before_exit) SetOrders({Web()});
    On(Exited{1, {0, 15}});
    if (!c.before_exit) SetOrders({Web()});
    On(Ended{1});
    Advance(std::max(Wake(), Millis{0}));
    EXPECT_THAT(Of<Spawn>(), ElementsAre(Spawn{kWeb1, 2, 20001}));
    MakeReady(2);
  }
}

TEST_F(SupervisorTest, AKilledShimCountsAsAnExit) {
  SetOrders({Web()});
  MakeReady();
  On(Ended{1});
  EXPECT_EQ(Status().phase, Phase::kBackoff);
  EXPECT_EQ(Status().detail, "its shim was killed, and the app with it");
}

TEST_F(SupervisorTest, EventsOfEarlierIncarnationsChangeNothing) {
  SetOrders({Web()});
  MakeReady();
  Crash(1);
  Advance(Wake());
  Start(2);
  for (const InstanceEvent& stale :
       {InstanceEvent{Exited{1, {1, 0}}}, InstanceEvent{Ended{1}},
        InstanceEvent{CannotStart{1, "x"}}, InstanceEvent{ProbeResult{1, true, ""}}}) {
    On(stale);
    EXPECT_THAT(actions_, IsEmpty());
    EXPECT_EQ(Status().phase, Phase::kStarting);
  }
  On(Started{2, 1, 1, 1}, AssignmentId{"unknown"});
  EXPECT_THAT(actions_, IsEmpty());
}

TEST_F(SupervisorTest, BecomesUnhealthyAndReadyAgain) {
  SetOrders({Web()});
  MakeReady();
  for (int i = 0; i < 3; ++i) {
    Advance(Wake());
    On(ProbeResult{1, false, "HTTP status 500"});
  }
  EXPECT_THAT(ReportedPhases(), ElementsAre(Phase::kUnhealthy));
  EXPECT_EQ(Status().detail, "probe failed: HTTP status 500");
  Advance(Wake());
  On(ProbeResult{1, true, ""});
  EXPECT_THAT(ReportedPhases(), ElementsAre(Phase::kReady));
  EXPECT_EQ(Status().detail, "");
}

TEST_F(SupervisorTest, AdoptsWhatRunsWithTheHealthItHad) {
  struct Case {
    Phase remembered;
    Phase want;
  };
  for (const Case& c :
       {Case{Phase::kReady, Phase::kReady}, Case{Phase::kUnhealthy, Phase::kUnhealthy},
        Case{Phase::kStarting, Phase::kStarting}, Case{Phase::kStopping, Phase::kStarting}}) {
    SCOPED_TRACE(std::string(PhaseName(c.remembered)));
    supervisor_ = Supervisor([] { return 1.0; });
    supervisor_.Adopt(Web(), {3, c.remembered, 0, 20001, 99, 4711, "", std::nullopt, 0}, now_);
    SetOrders({Web()});
    EXPECT_THAT(Of<Spawn>(), IsEmpty());
    EXPECT_THAT(ReportedPhases(), ElementsAre(c.want));
    EXPECT_EQ(Status().incarnation, 3u);
    EXPECT_EQ(Status().port, 20001);
  }
}

TEST_F(SupervisorTest, StopsAdoptedInstancesNobodyOrders) {
  supervisor_.Adopt(Web(), {3, Phase::kReady, 0, 20001, 99, 4711, "", std::nullopt, 0}, now_);
  SetOrders({});
  EXPECT_THAT(Of<Stop>(), ElementsAre(Stop{kWeb1, 3, Web().stop}));
  Crash(3);
  EXPECT_THAT(Of<Gone>(), ElementsAre(Gone{kWeb1}));
}

TEST_F(SupervisorTest, StartsAdoptedInstancesThatEndedMeanwhile) {
  supervisor_.Adopt(
      Web(), {3, Phase::kReady, 1, 20001, 99, 0, "exited with code 9", std::nullopt, 0}, now_);
  SetOrders({Web()});
  EXPECT_EQ(Status().phase, Phase::kBackoff);
  EXPECT_EQ(Status().detail, "exited with code 9");
  Advance(Wake());
  EXPECT_THAT(Of<Spawn>(), ElementsAre(Spawn{kWeb1, 4, 20001}));
}

TEST_F(SupervisorTest, HaltStopsEverythingAndStartsNothing) {
  const AssignmentId other{"web.2-b"};
  SetOrders({Web(), Web(other)});
  MakeReady();
  On(CannotStart{1, "no"}, other);
  actions_.clear();
  supervisor_.Halt(now_, actions_);
  EXPECT_THAT(Of<Stop>(), ElementsAre(Stop{kWeb1, 1, Web().stop}));
  EXPECT_FALSE(supervisor_.idle());
  Crash(1);
  EXPECT_TRUE(supervisor_.idle());
  Advance(Millis{60'000});
  EXPECT_THAT(actions_, IsEmpty());
  EXPECT_EQ(supervisor_.Statuses().size(), 2u);
}

TEST_F(SupervisorTest, AnExitForWantOfMemoryIsToldAndCounted) {
  Assignment web = Web();
  web.limits.memory_bytes = 64 << 20;
  SetOrders({web});
  MakeReady();
  On(Exited{1, {.signal = 9, .oom_kills = 1, .cpu_ms = 5, .max_resident_bytes = 60 << 20}});
  EXPECT_EQ(Status().detail, "OOMKilled at 64 MiB");
  EXPECT_EQ(Status().oom_kills, 1u);
  ASSERT_TRUE(Status().last_exit.has_value());
  EXPECT_EQ(Status().last_exit->cpu_ms, 5);
  On(Ended{1});
  Advance(Wake());
  EXPECT_THAT(Of<Spawn>(), ElementsAre(Spawn{kWeb1, 2, 20001}));
  Start(2);
  On(Exited{2, {.code = 1}});
  EXPECT_EQ(Status().oom_kills, 1u);
  EXPECT_EQ(Status().last_exit->code, 1);
}

TEST_F(SupervisorTest, WhereNobodyHoldsItsMemoryItIsStoppedForIt) {
  Assignment web = Web();
  web.limits.memory_bytes = 64 << 20;
  SetOrders({web});
  MakeReady();
  On(MemoryUsed{1, 64 << 20});
  EXPECT_THAT(actions_, IsEmpty());
  On(MemoryUsed{1, 80 << 20});
  EXPECT_THAT(Of<Stop>(), ElementsAre(Stop{kWeb1, 1, web.stop}));
  EXPECT_THAT(ReportedPhases(), ElementsAre(Phase::kStopping));
  On(MemoryUsed{1, 90 << 20});
  EXPECT_THAT(actions_, IsEmpty());  // told once
  On(Exited{1, {.signal = 15}});
  EXPECT_THAT(ReportedPhases(), ElementsAre(Phase::kBackoff));
  EXPECT_EQ(Status().detail, "OOMKilled at 64 MiB: it used 80 MiB");
  EXPECT_EQ(Status().oom_kills, 1u);
  On(Ended{1});
  Advance(Wake());
  EXPECT_EQ(Of<Spawn>().size(), 1u);
}

TEST_F(SupervisorTest, ChildrenKilledForWantOfMemoryAreToldOnceItHasOutlivedThem) {
  Assignment web = Web();
  web.limits.memory_bytes = 64 << 20;
  SetOrders({web});
  MakeReady();
  On(OomKillsCounted{1, 2});
  EXPECT_THAT(actions_, IsEmpty());  // it may be the app itself
  On(OomKillsCounted{1, 2});
  EXPECT_THAT(ReportedPhases(), ElementsAre(Phase::kReady));
  EXPECT_EQ(Status().child_oom_kills, 2u);
  EXPECT_EQ(Status().detail, "2 of its child processes were OOMKilled at 64 MiB");
  On(OomKillsCounted{1, 3});
  EXPECT_THAT(actions_, IsEmpty());
  On(Exited{1, {.signal = 9, .oom_kills = 3}});
  EXPECT_EQ(Status().detail, "OOMKilled at 64 MiB");
  EXPECT_EQ(Status().oom_kills, 1u);
  On(Ended{1});
  Advance(Wake());
  Start(2);
  EXPECT_EQ(Status().child_oom_kills, 0u);
}

TEST_F(SupervisorTest, KilledChildrenAreRememberedByTheNextAgent) {
  Remains remains;
  remains.incarnation = 4;
  remains.phase = Phase::kReady;
  remains.pid = 77;
  remains.child_oom_kills = 2;
  supervisor_.Adopt(Web(), remains, now_);
  SetOrders({Web()});
  EXPECT_EQ(Status().child_oom_kills, 2u);
  On(OomKillsCounted{4, 2});
  On(OomKillsCounted{4, 2});
  EXPECT_EQ(Status().child_oom_kills, 2u);
  On(OomKillsCounted{4, 3});
  On(OomKillsCounted{4, 3});
  EXPECT_EQ(Status().child_oom_kills, 3u);
}

TEST_F(SupervisorTest, WithoutALimitMemoryIsNobodysBusiness) {
  SetOrders({Web()});
  MakeReady();
  On(MemoryUsed{1, uint64_t{1} << 40});
  EXPECT_THAT(actions_, IsEmpty());
}

TEST_F(SupervisorTest, TellsWhatIsPreparedAndStartsItThen) {
  SetOrders({Web()});
  On(Preparing{1, "fetching 3 MiB"});
  EXPECT_THAT(ReportedPhases(), ElementsAre(Phase::kPreparing));
  EXPECT_EQ(Status().detail, "fetching 3 MiB");
  EXPECT_EQ(Wake(), Millis{-1});
  On(Preparing{1, "unpacking"});
  EXPECT_THAT(ReportedPhases(), ElementsAre(Phase::kPreparing));
  Start();
  EXPECT_THAT(ReportedPhases(), ElementsAre(Phase::kStarting));
  EXPECT_EQ(Status().detail, "");
  // The time to become ready counts from here.
  EXPECT_EQ(Status().restarts, 0u);
}

TEST_F(SupervisorTest, APreparationThatFailedIsTriedAgainAfterAPause) {
  SetOrders({Web()});
  On(Preparing{1, "installing"});
  On(CannotStart{1, "install failed: exit 1"});
  EXPECT_THAT(ReportedPhases(), ElementsAre(Phase::kFailed));
  EXPECT_EQ(Status().detail, "install failed: exit 1");
  EXPECT_EQ(Status().failed_starts, 1u);
  Advance(Millis{100});
  EXPECT_THAT(Of<Spawn>(), ElementsAre(Spawn{kWeb1, 2, 0}));
}

TEST_F(SupervisorTest, WhatIsStillPreparedIsGoneAtOnceWhenNobodyWantsIt) {
  SetOrders({Web()});
  On(Preparing{1, "installing"});
  SetOrders({});
  EXPECT_THAT(Of<Stop>(), IsEmpty());
  EXPECT_THAT(Of<Gone>(), ElementsAre(Gone{kWeb1}));
  // What comes of it later is nobody's.
  On(Started{1, 4711, 20001, 99});
  EXPECT_THAT(actions_, IsEmpty());
}

TEST_F(SupervisorTest, NothingThatIsPreparedKeepsAHaltWaiting) {
  SetOrders({Web()});
  On(Preparing{1, "installing"});
  actions_.clear();
  supervisor_.Halt(now_, actions_);
  EXPECT_TRUE(supervisor_.idle());
  EXPECT_THAT(Of<Gone>(), IsEmpty());
}

class LivenessTest : public SupervisorTest {
 protected:
  static Assignment Hanging() {
    Assignment assignment = Web();
    assignment.liveness_probe.emplace();
    assignment.liveness_probe->interval = Millis{5'000};
    assignment.liveness_probe->unhealthy_threshold = 2;
    return assignment;
  }
  // Answers probes until one of the role is sent; that one gets `passed`.
  void Answer(ProbeRole role, bool passed) {
    for (int i = 0; i < 100; ++i) {
      Advance(Wake());
      const std::vector<Probe> probes = Of<Probe>();
      if (probes.empty()) continue;
      const bool is_it = probes[0].role == role;
      On(ProbeResult{probes[0].incarnation, is_it ? passed : true, "HTTP status 500"});
      if (is_it) return;
    }
    FAIL() << "it is not probed";
  }
};

TEST_F(LivenessTest, AnAppThatHangsIsStoppedWithItsGraceAndStartedAgain) {
  SetOrders({Hanging()});
  MakeReady();
  Answer(ProbeRole::kLiveness, false);
  EXPECT_THAT(Of<Stop>(), IsEmpty());
  Answer(ProbeRole::kLiveness, false);
  EXPECT_THAT(Of<Stop>(), ElementsAre(Stop{kWeb1, 1, Web().stop}));
  EXPECT_THAT(ReportedPhases(), ElementsAre(Phase::kStopping));
  On(Exited{1, {0, 9}});
  EXPECT_THAT(ReportedPhases(), ElementsAre(Phase::kBackoff));
  EXPECT_EQ(Status().detail, "liveness probe failed: HTTP status 500");
  EXPECT_EQ(Status().crashes, 1u);
  On(Ended{1});
  Advance(Wake());
  EXPECT_THAT(Of<Spawn>(), ElementsAre(Spawn{kWeb1, 2, 20001}));
  MakeReady(2);
  EXPECT_EQ(Status().detail, "");
  EXPECT_EQ(Status().restarts, 1u);
}

TEST_F(LivenessTest, ASuccessBetweenFailuresIsLife) {
  SetOrders({Hanging()});
  MakeReady();
  for (int i = 0; i < 10; ++i) {
    Answer(ProbeRole::kLiveness, false);
    Answer(ProbeRole::kLiveness, true);
    EXPECT_EQ(Status().phase, Phase::kReady);
  }
}

TEST_F(LivenessTest, WithoutALivenessProbeNothingIsStopped) {
  SetOrders({Web()});
  MakeReady();
  for (int i = 0; i < 50; ++i) {
    Answer(ProbeRole::kReadiness, false);
    EXPECT_THAT(Of<Stop>(), IsEmpty());
  }
  EXPECT_EQ(Status().phase, Phase::kUnhealthy);
  EXPECT_EQ(Status().detail, "probe failed: HTTP status 500");
}

TEST_F(LivenessTest, ACrashLaterOnIsDescribedAsItIs) {
  SetOrders({Hanging()});
  MakeReady();
  Answer(ProbeRole::kLiveness, false);
  Answer(ProbeRole::kLiveness, false);
  On(Exited{1, {0, 15}});
  On(Ended{1});
  Advance(Wake());
  MakeReady(2);
  Crash(2, 3);
  EXPECT_EQ(Status().detail, "exited with code 3");
}

TEST_F(LivenessTest, TheStartupProbeComesFirstAndItsFailureIsTold) {
  Assignment assignment = Hanging();
  assignment.startup_probe.emplace();
  SetOrders({assignment});
  Start();
  Advance(Millis{10});
  EXPECT_THAT(Of<Probe>(), ElementsAre(Probe{kWeb1, 1, 20001, ProbeRole::kStartup}));
  On(ProbeResult{1, false, "exit code 1: not yet"});
  Advance(Millis{30'000});
  EXPECT_EQ(Status().phase, Phase::kStopping);
  EXPECT_EQ(Status().detail, "not ready within 30 s: exit code 1: not yet");
}

TEST_F(SupervisorTest, TellsOfOneInstance) {
  SetOrders({Web()});
  MakeReady();
  EXPECT_EQ(supervisor_.StatusOf(kWeb1), Status());
  EXPECT_EQ(supervisor_.StatusOf({"web.2-b"}), std::nullopt);
}

}  // namespace
}  // namespace pando::agent
