#include "tests/sim/sim_world.h"

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "controller/core/upstream_table.h"

namespace pando::sim {

using controller::AppRequest;
using controller::AppStatus;
using controller::DeleteAssignment;
using controller::InstanceStatus;
using controller::IsPickable;
using controller::PutAssignment;
using controller::TimelineEvent;
using controller::Wish;

namespace {

ClusterPolicy Policy(SimRandom& random, bool rebalances) {
  ClusterPolicy policy;
  policy.rebalance_after = Millis{rebalances && random.Percent(50) ? 3'000 : 0};
  policy.moves_at_once = 1 + random.Below(3);
  policy.proxy_lease = Millis{3'000};  // shorter than a drain may take
  return policy;
}

bool HasEvent(const Effects& effects, const std::string& kind, const Assignment& a) {
  const std::string name = controller::InstanceName(a.app, a.slot);
  return std::any_of(effects.events.begin(), effects.events.end(), [&](const TimelineEvent& e) {
    return e.kind == kind && e.instance == name && e.node == a.node;
  });
}

// Of all kinds; in the calm none of them takes a good release back.
controller::Strategy AnyStrategy(SimRandom& random) {
  controller::Strategy strategy;
  if (random.Percent(50)) return strategy;
  strategy.max_surge = {random.Below(4), false};
  if (random.Percent(50) || strategy.max_surge.value == 0) {
    strategy.max_unavailable = {1 + random.Below(60), true};
  }
  if (random.Percent(30)) strategy.min_ready = random.Between(100, 2'000);
  if (random.Percent(30)) strategy.observe = random.Between(100, 2'000);
  if (random.Percent(30)) {
    strategy.canary_steps = {1 + random.Below(40), 50 + random.Below(40)};
    strategy.canary_interval = random.Between(100, 2'000);
  } else if (random.Percent(20)) {
    strategy.blue_green = true;
  }
  if (random.Percent(30)) strategy.progress_deadline = random.Between(12'000, 60'000);
  strategy.auto_rollback = random.Percent(80);
  return strategy;
}

// The lease of a proxy that is cut off, a drain's timeout, and some for the messages.
constexpr Millis kHandOver{3'000 + 5'000 + 4'000};

}  // namespace

World::World(uint32_t seed, bool rebalances)
    : random(seed),
      controller(*this, Policy(random, rebalances)),
      keep_trace_(std::getenv("PANDO_SIM_TRACE")) {
  const uint32_t nodes = 2 + random.Below(4);
  const uint32_t proxies = 1 + random.Below(3);
  const uint32_t apps = 1 + random.Below(3);
  little_room_ = random.Percent(30);
  const bool zones = random.Percent(40);
  for (uint32_t i = 1; i <= nodes; ++i) {
    agents_.push_back(std::make_unique<ModelAgent>(*this, absl::StrCat("node-", i),
                                                   zones ? absl::StrCat("z", i % 2) : "",
                                                   little_room_ ? 4 : 0));
  }
  for (uint32_t i = 1; i <= proxies; ++i) {
    // Clients that do not tell what they hold are the exception.
    const bool reports = i == 1 || random.Percent(80);
    proxies_.push_back(std::make_unique<ModelProxy>(*this, absl::StrCat("proxy-", i), reports));
  }
  controller.Start();
  executor.Advance(Millis{2'000});
  for (uint32_t i = 0; i < apps; ++i) {
    Apply(AppId{std::string(1, static_cast<char>('a' + i))}, true);
  }
  executor.Advance(Millis{5'000});
}

// ---- what is done to it ----

void World::Apply(const AppId& app, bool good, bool may_scale) {
  AppRequest request;
  request.app = app;
  request.config.payload = absl::StrCat(good ? "good-" : "bad-", ++releases_);
  request.config.path = absl::StrCat("/", app.value);
  request.config.drain_timeout = Millis{5'000};
  request.config.strategy = AnyStrategy(random);
  if (!little_room_ && may_scale && random.Percent(50)) request.replicas = 1 + random.Below(6);
  controller.Command([&](Cluster& cluster, Instant now, Effects& effects) {
    const auto outcome = cluster.Apply({request}, {}, {}, now, effects);
    Trace(absl::StrCat("apply ", app.value, " ", request.config.payload, ": ",
                       outcome.ok() ? "ok" : std::string(outcome.status().message())));
  });
}

void World::OneCommand() {
  const Cluster* cluster = controller.cluster();
  if (cluster == nullptr) return;
  const AppId app{std::string(1, static_cast<char>('a' + random.Below(3)))};
  const uint32_t what = random.Below(100);
  if (what < 30) return Apply(app, random.Percent(80));
  const uint32_t number = random.Below(9);
  const NodeId node = agents_[random.Below(agents_.size())]->node();
  Trace(absl::StrCat("command ", what, " ", app.value, " ", number));
  controller.Command([&](Cluster& c, Instant now, Effects& e) {
    if (what < 60) {
      c.Scale(app, number, now, e).IgnoreError();
    } else if (what < 70) {
      c.SetStopped(app, number % 2 == 0, now, e).IgnoreError();
    } else if (what < 75) {
      c.Restart(app, now, e).IgnoreError();
    } else if (what < 77) {
      c.Undo(app, number, now, e).IgnoreError();
    } else if (what < 79) {
      c.SetPaused(app, number % 2 == 0, now, e).IgnoreError();
    } else if (what < 80) {
      c.Promote(app, number % 2 == 0, now, e).IgnoreError();
    } else if (what < 86) {
      c.Remove(app, now, e).IgnoreError();
    } else if (what < 90) {
      c.SetCordoned(node, number % 2 == 0, now, e).IgnoreError();
    } else if (what < 95) {
      c.DrainNode(node, Millis{number % 2 == 0 ? 0 : 4'000}, now, e).IgnoreError();
    } else if (what < 97) {
      c.Rebalance({}, number % 4 == 0, now, e).IgnoreError();
    } else {
      c.Unfreeze(now, e).IgnoreError();
    }
  });
}

void World::OneFault() {
  ModelAgent& agent = *agents_[random.Below(agents_.size())];
  ModelProxy& proxy = *proxies_[random.Below(proxies_.size())];
  const uint32_t what = random.Below(100);
  Trace(absl::StrCat("fault ", what, " ", agent.node().value, " ", proxy.id().value));
  if (what < 20) {
    agent.CrashOne();
  } else if (what < 30) {
    agent.FailProbeOfOne();
  } else if (what < 40) {
    agent.BreakStream();
  } else if (what < 48) {
    agent.RestartAgent();
  } else if (what < 52) {
    agent.RebootNode();
  } else if (what < 60) {
    agent.CutOff(true);
    executor.RunAfter(random.Between(500, 12'000), [&agent] { agent.CutOff(false); });
  } else if (what < 61) {
    HangController();
  } else if (what < 62) {
    agent.Kill();
    executor.RunAfter(random.Between(500, 12'000), [&agent] { agent.PowerOn(); });
  } else if (what < 64) {  // most of the fleet at once
    for (size_t i = 0; i + 1 < agents_.size() || i == 0; ++i) {
      agents_[i]->CutOff(true);
      executor.RunAfter(random.Between(500, 12'000), [this, i] { agents_[i]->CutOff(false); });
    }
  } else if (what < 72) {
    proxy.BreakTables();
  } else if (what < 78) {
    proxy.BreakReports();
  } else if (what < 82) {
    proxy.Restart();
  } else if (what < 88) {
    proxy.CutOff(true);
    executor.RunAfter(random.Between(500, 12'000), [&proxy] { proxy.CutOff(false); });
  } else if (controller.running()) {
    controller.Crash();
    const Millis down = random.Percent(70) ? random.Between(50, 500) : random.Between(500, 9'000);
    executor.RunAfter(down, [this] {
      if (!controller.running()) controller.Start();
    });
  }
}

void World::Storm(Millis by) {
  for (const Instant end = executor.Now() + by; executor.Now() < end;) {
    if (random.Percent(50)) {
      OneFault();
    } else {
      OneCommand();
    }
    executor.Advance(random.Percent(50) ? random.Between(1, 200) : random.Between(200, 2'500));
  }
}

void World::Heal() {
  Trace("heal");
  for (auto& agent : agents_) agent->CutOff(false);
  for (auto& proxy : proxies_) proxy->CutOff(false);
  executor.Advance(Millis{13'000});  // what was to end in the meantime has ended
  if (!controller.running()) controller.Start();
  for (auto& agent : agents_) {
    agent->CutOff(false);
    agent->PowerOn();
    Uncordon(agent->node());
  }
  if (agents_.size() > 2 && !little_room_ && random.Percent(20)) {
    if (random.Percent(50)) {
      agents_.back()->Kill();
    } else {
      agents_.back()->CutOff(true);
      operator_unfreezes_ = true;  // what it runs serves on, so nothing proves its loss
    }
    gone_agents_.insert(agents_.back()->node());
  }
  if (proxies_.size() > 1 && random.Percent(20)) {
    proxies_.back()->CutOff(true);
    gone_proxies_.insert(proxies_.back()->id());
  }
  for (const AppId& app : controller.cluster()->apps()) {
    controller.Command([&](Cluster& c, Instant now, Effects& e) {
      c.SetStopped(app, false, now, e).IgnoreError();
      if (little_room_) c.Scale(app, 1, now, e).IgnoreError();
    });
    Apply(app, true);
  }
  AwaitSettled();
}

void World::StayCalm() {
  calm_ = true;
  for (const AppId& app : controller.cluster()->apps()) {
    floor_[app] = controller.cluster()->GetApp(app)->app.replicas;
    slack_[app] = 0;
  }
  NoteSlack();
}

// The strategy of a release that is being replaced does not count any more, but its tables do.
void World::NoteSlack() {
  for (const auto& [app, replicas] : floor_) {
    const AppStatus status = *controller.cluster()->GetApp(app);
    const auto limits = controller::LimitsOf(status.config.strategy, replicas);
    slack_[app] = std::max(slack_[app], limits.unavailable);
  }
}

void World::SetPaused(const AppId& app, bool paused) {
  controller.Command(
      [&](Cluster& c, Instant now, Effects& e) { c.SetPaused(app, paused, now, e).IgnoreError(); });
}

void World::RollOutCalmly(int times) {
  StayCalm();
  for (int i = 0; i < times; ++i) {
    for (const AppId& app : controller.cluster()->apps()) {
      const uint32_t what = random.Below(100);
      if (what < 40) {
        Apply(app, true, /*may_scale=*/false);
      } else if (what < 50) {
        SetPaused(app, random.Percent(50));
      } else {
        controller.Command([&](Cluster& c, Instant now, Effects& e) {
          (what < 60 ? c.Undo(app, 0, now, e) : c.Restart(app, now, e)).status().IgnoreError();
        });
      }
    }
    NoteSlack();
    // Sometimes the next release comes before the last one is out.
    executor.Advance(random.Percent(50) ? random.Between(100, 3'000)
                                        : random.Between(5'000, 9'000));
  }
  for (const AppId& app : controller.cluster()->apps()) SetPaused(app, false);
  AwaitSettled();
}

void World::ReleaseWhatFails(int times) {
  StayCalm();
  for (int i = 0; i < times; ++i) {
    std::map<AppId, AppStatus> before;
    fails_ = true;
    for (const AppId& app : controller.cluster()->apps()) {
      before[app] = *controller.cluster()->GetApp(app);
      Apply(app, false, /*may_scale=*/false);
    }
    NoteSlack();
    executor.Advance(random.Between(100, 3'000));
    if (random.Percent(30)) {
      controller.Crash();
      executor.Advance(random.Between(50, 5'000));
      controller.Start();
    }
    for (const auto& [app, status] : before) AwaitEndOf(app, status);
    fails_ = false;
    for (const auto& [app, status] : before) Apply(app, true, /*may_scale=*/false);
    NoteSlack();
    AwaitSettled();
  }
}

// A bad release: taken back by itself, or stuck where its strategy says so.
void World::AwaitEndOf(const AppId& app, const AppStatus& before) {
  AppStatus status;
  for (int i = 0; i < 600; ++i) {
    status = *controller.cluster()->GetApp(app);
    const bool ended = status.rollout == controller::RolloutPhase::kFailed ||
                       (status.rollout == controller::RolloutPhase::kRolledBack && status.settled);
    if (ended) break;
    executor.Advance(Millis{200});
  }
  const bool kept =
      status.rollout == controller::RolloutPhase::kFailed && !status.config.strategy.auto_rollback;
  const bool back = status.rollout == controller::RolloutPhase::kRolledBack && status.settled &&
                    status.app.revision == before.app.revision;
  if (!kept && !back) {
    Violation(absl::StrCat(app.value, " is left at revision ", status.app.revision, " in phase ",
                           static_cast<int>(status.rollout), ": ", status.failure));
  }
}

void World::Uncordon(const NodeId& node) {
  controller.Command([&](Cluster& c, Instant now, Effects& e) {
    c.SetCordoned(node, false, now, e).IgnoreError();
  });
}

void World::HangController() {
  const Millis by = random.Between(500, 20'000);
  Trace(absl::StrCat("controller hangs for ", by.count(), " ms"));
  controller_hangs_until = executor.Now() + by;
}

void World::Live(Millis by) {
  for (const Instant end = executor.Now() + by; executor.Now() < end;) {
    executor.Advance(Millis{100});
    CheckTwins();
  }
}

void World::DrainCalmly(int times) {
  StayCalm();
  for (int i = 0; i < times; ++i) {
    const NodeId node = agents_[random.Below(agents_.size())]->node();
    Trace("calm drain of " + node.value);
    controller.Command([&](Cluster& c, Instant now, Effects& e) {
      c.DrainNode(node, Millis{0}, now, e).IgnoreError();
    });
    // Sometimes it is called back in mid-drain.
    Live(random.Percent(40) ? random.Between(50, 1'500) : random.Between(4'000, 9'000));
    Uncordon(node);
    if (random.Percent(60)) {
      controller.Command([&](Cluster& c, Instant now, Effects& e) {
        c.Rebalance({}, false, now, e).IgnoreError();
      });
    }
    Live(random.Between(10, 6'000));
  }
  AwaitSettled();
}

void World::LoseMostHosts() {
  Trace("most hosts die");
  for (size_t i = 1; i < agents_.size(); ++i) {
    agents_[i]->Kill();
    gone_agents_.insert(agents_[i]->node());
  }
  AwaitSettled();
}

void World::ShakeControlPlane(Millis by) {
  StayCalm();
  std::map<AssignmentId, uint32_t> before;
  const auto incarnations = [this] {
    std::map<AssignmentId, uint32_t> all;
    for (const auto& agent : agents_) {
      for (const auto& [id, process] : agent->processes()) all[id] = process.report.incarnation;
    }
    return all;
  };
  before = incarnations();
  for (const Instant end = executor.Now() + by; executor.Now() < end;) {
    ModelAgent& agent = *agents_[random.Below(agents_.size())];
    ModelProxy& proxy = *proxies_[random.Below(proxies_.size())];
    const uint32_t what = random.Below(7);
    Trace(absl::StrCat("shake ", what, " ", agent.node().value, " ", proxy.id().value));
    if (what == 0) {
      agent.RestartAgent();
    } else if (what == 1) {
      proxy.BreakTables();
    } else if (what == 2) {
      proxy.BreakReports();
    } else if (what == 6) {
      HangController();
    } else if (what == 3) {  // most of the fleet, for long
      for (auto& cut : agents_) {
        if (cut.get() != &agent || agents_.size() < 3) cut->CutOff(true);
      }
      executor.Advance(random.Between(4'000, 20'000));
      for (auto& cut : agents_) cut->CutOff(false);
    } else {
      controller.Crash();
      executor.Advance(random.Percent(70) ? random.Between(50, 500) : random.Between(500, 20'000));
      controller.Start();
    }
    executor.Advance(random.Percent(30) ? random.Between(10, 2'000) : random.Between(4'000, 7'000));
  }
  AwaitSettled();
  if (incarnations() != before) Violation("an instance was moved, stopped or started anew");
}

void World::AwaitSettled() {
  std::string unsettled;
  for (int i = 0; i < 600; ++i) {
    unsettled = Unsettled();
    if (unsettled.empty()) return Trace("settled");
    if (operator_unfreezes_ && i % 50 == 49) {
      controller.Command(
          [](Cluster& c, Instant now, Effects& e) { c.Unfreeze(now, e).IgnoreError(); });
    }
    executor.Advance(Millis{200});
  }
  Violation("does not settle: " + unsettled);
}

// ---- what must hold ----

void World::CheckEffects(const Effects& effects) {
  for (const controller::Write& write : effects.writes) {
    if (const auto* put = std::get_if<PutAssignment>(&write)) {
      const Assignment& a = put->assignment;
      const auto before = wishes_.find(a.id);
      const bool stops =
          a.wish == Wish::kStop && (before == wishes_.end() || before->second != Wish::kStop);
      if (stops) CheckStop(a, effects);
      const bool retires =
          a.wish == Wish::kDrain && before != wishes_.end() && before->second == Wish::kRun;
      if (retires) CheckDrain(a);
      wishes_[a.id] = a.wish;
      Trace(absl::StrCat("assignment ", a.id.value, " r", a.revision, " ", a.node.value, " wish ",
                         static_cast<int>(a.wish)));
    } else if (const auto* gone = std::get_if<DeleteAssignment>(&write)) {
      Trace(absl::StrCat("assignment ", gone->id.value, " deleted"));
      wishes_.erase(gone->id);
    }
  }
  for (const UpstreamTable& table : effects.tables) {
    std::string line = absl::StrCat("table ", table.app.value, " ", table.generation, ":");
    for (const Endpoint& e : table.endpoints) {
      absl::StrAppend(&line, " ", e.assignment.value, "=", static_cast<int>(e.health));
    }
    Trace(std::move(line));
  }
  for (const TimelineEvent& e : effects.events) {
    if (e.kind == "rolled-back" && calm_ && !fails_) {
      Violation(absl::StrCat("a good release of ", e.app.value, " is taken back: ", e.message));
    }
    Trace(absl::StrCat("event ", e.kind, " ", e.app.value, " ", e.instance, " ", e.node.value, " ",
                       e.message));
  }
  if (!effects.writes.empty()) CheckSlots();
}

// Leaves the rotation for another of its slot: every live proxy has that one.
void World::CheckDrain(const Assignment& a) {
  const Cluster& cluster = *controller.cluster();
  const auto seen = seen_.find(a.id);
  if (seen == seen_.end() || seen->second != Phase::kReady) return;  // it serves nobody
  const AppStatus app = *cluster.GetApp(a.app);
  if (app.app.stopped || app.app.removing || a.slot > app.app.replicas) return;
  // May go first; how many in all, TableApplied checks in the calm.
  if (LimitsOf(app.config.strategy, app.app.replicas).unavailable > 0) return;
  for (const auto& node : cluster.GetNodes(executor.Now())) {
    // Its node's drain had a deadline: from then on nothing has to replace it.
    if (node.record.id == a.node && node.record.drain_deadline > Millis{0}) return;
  }
  for (const auto& live : cluster.GetProxies(executor.Now())) {
    const auto proxy = std::find_if(proxies_.begin(), proxies_.end(),
                                    [&](const auto& p) { return p->id() == live.id; });
    if ((*proxy)->lost_tables()) continue;
    bool replaced = false;
    for (const InstanceStatus& other : cluster.GetInstances(a.app)) {
      const Assignment& b = other.assignment;
      replaced |=
          b.slot == a.slot && b.wish == Wish::kRun && b.id != a.id && (*proxy)->MayPick(b.id);
    }
    if (!replaced) {
      Violation(absl::StrCat(a.id.value, " is drained but ", live.id.value,
                             " does not have what replaces it"));
    }
  }
}

// Told to stop: no live proxy may pick it, and none holds a request in it.
void World::CheckStop(const Assignment& a, const Effects& effects) {
  if (HasEvent(effects, "drain-timeout", a)) return;
  // Without a process, or before it was ever ready, nobody can be using it. (A report may be
  // overtaken by what it tells of: what counts is what the controller could know.)
  const auto seen = seen_.find(a.id);
  if (!a.was_ready || seen == seen_.end() || seen->second == Phase::kBackoff) return;
  for (const auto& status : controller.cluster()->GetProxies(executor.Now())) {
    for (const auto& proxy : proxies_) {
      // What came back with an older table and did not say so yet, the controller can not know.
      if (proxy->id() != status.id || proxy->lost_tables()) continue;
      cleared_[a.id].insert(status.id);
      if (proxy->MayPick(a.id)) {
        Violation(
            absl::StrCat(a.id.value, " is told to stop but ", status.id.value, " may pick it"));
      }
      if (proxy->InFlight(a.id) > 0) {
        Violation(absl::StrCat(a.id.value, " is told to stop but ", status.id.value, " holds ",
                               proxy->InFlight(a.id), " requests in it"));
      }
    }
  }
}

void World::ProcessOrderedToStop(const Process& process) {
  const AssignmentId& id = process.assignment.id;
  Trace(absl::StrCat("process ", id.value, " is stopped"));
  const auto cleared = cleared_.find(id);
  if (cleared == cleared_.end()) return;
  for (const auto& proxy : proxies_) {
    if (cleared->second.count(proxy->id()) == 0 || proxy->lost_tables()) continue;
    if (proxy->MayPick(id) || proxy->InFlight(id) > 0) {
      Violation(absl::StrCat(id.value, " is stopped while ", proxy->id().value, " uses it"));
    }
  }
}

// Of one slot and revision at most one is to stay, or two where a move was given up while the
// controller was down.
void World::CheckSlots() {
  std::map<std::tuple<AppId, uint32_t, uint32_t>, int> wanted;
  for (const InstanceStatus& status : controller.cluster()->GetInstances({})) {
    const Assignment& a = status.assignment;
    if (a.id.empty() || a.wish != Wish::kRun || status.leaving) continue;
    if (++wanted[{a.app, a.slot, a.revision}] > 2) {
      Violation(absl::StrCat("three of ", a.app.value, ".", a.slot, " revision ", a.revision));
    }
  }
}

// Of one slot and revision the same two are ready, on nodes in sight and not draining, only while
// one hands over to the other.
void World::CheckTwins() {
  std::map<std::tuple<AppId, uint32_t, uint32_t>, std::set<AssignmentId>> ready;
  for (const auto& agent : agents_) {
    if (!agent->connected()) continue;
    for (const auto& [id, process] : agent->processes()) {
      const auto wish = wishes_.find(id);
      if (process.report.phase != Phase::kReady || wish == wishes_.end()) continue;
      const Assignment& a = process.assignment;
      if (wish->second == Wish::kRun) ready[{a.app, a.slot, a.revision}].insert(id);
    }
  }
  std::map<std::set<AssignmentId>, Instant> twins;
  for (const auto& [slot, ids] : ready) {
    if (ids.size() < 2) continue;
    const auto before = twins_since_.find(ids);
    const Instant since = before == twins_since_.end() ? executor.Now() : before->second;
    twins[ids] = since;
    if (executor.Now() - since <= kHandOver) continue;
    Violation(absl::StrCat(ids.begin()->value, " and another one are ready for long"));
  }
  twins_since_ = std::move(twins);
}

void World::ProcessExited(const AssignmentId& id) {
  for (auto& proxy : proxies_) proxy->Reset(id);
}

void World::TableApplied(const ModelProxy& proxy, const UpstreamTable& table) {
  Trace(absl::StrCat(proxy.id().value, " runs ", table.app.value, " ", table.generation));
  if (!calm_) return;
  uint32_t serving = 0;
  for (const Endpoint& e : table.endpoints) {
    const Process* process = ProcessAt(e);
    serving += IsPickable(e) && process != nullptr && process->report.phase == Phase::kReady;
  }
  if (serving + slack_[table.app] < floor_[table.app]) {
    Violation(absl::StrCat(proxy.id().value, " has only ", serving, " of ", floor_[table.app],
                           " instances of ", table.app.value, ", of which ", slack_[table.app],
                           " may be missing"));
  }
}

void World::Picked(const Endpoint& endpoint, const Process* process) {
  if (!calm_) return;
  if (process == nullptr || process->assignment.id != endpoint.assignment ||
      process->report.phase != Phase::kReady) {
    Violation("a request to " + endpoint.assignment.value + " fails in the calm");
  }
}

const Process* World::ProcessAt(const Endpoint& endpoint) const {
  for (const auto& agent : agents_) {
    if (agent->node().value == endpoint.address) return agent->At(endpoint.port);
  }
  return nullptr;
}

bool World::IsBadRelease(const Assignment& a) const {
  const auto found = controller.store().revisions().find({a.app, a.revision});
  return found != controller.store().revisions().end() &&
         found->second.config.payload.rfind("bad", 0) == 0;
}

std::string World::Unsettled() const {
  const Cluster& cluster = *controller.cluster();
  if (cluster.frozen() || cluster.recovering()) return "frozen or recovering";
  uint32_t wanted = 0;
  for (const AppId& app : cluster.apps()) {
    const AppStatus status = *cluster.GetApp(app);
    if (status.app.removing) return app.value + " is being removed";
    if (!status.settled) {
      return absl::StrCat(app.value, ": available ", status.available, " of ", status.app.replicas,
                          ", outdated ", status.outdated, ", proxies ", status.proxies_acked, "/",
                          status.proxies_live, ", pending '", status.pending_reason, "', failure '",
                          status.failure, "'");
    }
    wanted += status.app.replicas;
    for (const auto& proxy : proxies_) {
      if (gone_proxies_.count(proxy->id()) > 0) continue;
      const auto table = proxy->tables().find(app);
      if (table == proxy->tables().end() ||
          table->second.endpoints != cluster.Table(app)->endpoints)
        return absl::StrCat(proxy->id().value, " does not run the table of ", app.value);
    }
  }
  for (const auto& proxy : proxies_) {
    if (gone_proxies_.count(proxy->id()) > 0) continue;
    if (proxy->tables().size() != cluster.apps().size()) return "a proxy keeps a removed app";
  }
  uint32_t running = 0;
  for (const auto& agent : agents_) {
    if (gone_agents_.count(agent->node()) > 0) continue;
    for (const auto& [id, process] : agent->processes()) {
      const auto app = cluster.GetApp(process.assignment.app);
      if (!app.ok() || process.stopping || process.report.phase != Phase::kReady ||
          process.assignment.revision != app->app.revision) {
        return absl::StrCat(id.value, " runs on ", agent->node().value, " and should not");
      }
      ++running;
    }
  }
  if (running != wanted) return absl::StrCat(running, " run instead of ", wanted);
  if (controller.store().assignments().size() != wanted) return "the store holds other assignments";
  return "";
}

void World::Violation(const std::string& what) {
  const auto at =
      std::chrono::duration_cast<Millis>(executor.Now().time_since_epoch()).count() - 3'600'000;
  violations_.push_back(absl::StrCat("at ", at, " ms: ", what));
  Trace("VIOLATION " + what);
}

void World::Trace(std::string line) {
  const auto at =
      std::chrono::duration_cast<Millis>(executor.Now().time_since_epoch()).count() - 3'600'000;
  line = absl::StrCat(at, " ", line);
  for (const char c : line) {
    trace_hash_ = (trace_hash_ ^ static_cast<unsigned char>(c)) * 1099511628211u;
  }
  if (keep_trace_) trace_.push_back(std::move(line));
}

}  // namespace pando::sim
