// Everything of one simulated cluster, what is done to it, and what must hold all the while.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/runtime/manual_executor.h"
#include "controller/core/cluster.h"
#include "tests/sim/model_agent.h"
#include "tests/sim/model_controller.h"
#include "tests/sim/model_proxy.h"
#include "tests/sim/sim_random.h"

namespace pando::sim {

class World {
 public:
  // `rebalances`: the controller moves instances by itself.
  explicit World(uint32_t seed, bool rebalances = true);

  // Faults and commands at random for `by`.
  void Storm(Millis by);
  // The control plane suffers everything, and nobody asks for anything: users must not notice.
  void ShakeControlPlane(Millis by);
  // No faults: only releases and restarts. From here on nothing may fail at all.
  void RollOutCalmly(int times);
  // No faults but those of the releases: nobody notices, and they are taken back by themselves.
  void ReleaseWhatFails(int times);
  // No faults: nodes are drained and come back, instances are rebalanced. Nothing may fail at all.
  void DrainCalmly(int times);
  // Most hosts die for good, while proxies go on: the rest has to take over.
  void LoseMostHosts();
  // Everything works again and every app is started with a good release; then waits until all is as
  // it should be.
  void Heal();
  void AwaitSettled();

  const std::vector<std::string>& violations() const { return violations_; }
  uint64_t trace_hash() const { return trace_hash_; }
  const std::vector<std::string>& trace() const { return trace_; }

  // ---- told by the models ----
  void Trace(std::string line);
  void Violation(const std::string& what);
  void CheckEffects(const Effects& effects);  // before they are committed
  void ReportSeen(const InstanceReport& report) { seen_[report.assignment] = report.phase; }
  void ForgetSeen() { seen_.clear(); }
  void ProcessExited(const AssignmentId& id);
  void ProcessOrderedToStop(const Process& process);
  void TableApplied(const ModelProxy& proxy, const UpstreamTable& table);
  void Picked(const Endpoint& endpoint, const Process* process);
  const Process* ProcessAt(const Endpoint& endpoint) const;
  bool IsBadRelease(const Assignment& assignment) const;

  // The controller's host sleeps: it reads and decides nothing, and its clock goes on.
  Instant controller_hangs_until{};
  ManualExecutor executor;
  SimRandom random;
  ModelController controller;

 private:
  void OneFault();
  void OneCommand();
  void Apply(const AppId& app, bool good, bool may_scale = true);
  void SetPaused(const AppId& app, bool paused);
  void AwaitEndOf(const AppId& app, const controller::AppStatus& before);
  void CheckStop(const Assignment& assignment, const Effects& effects);
  void CheckDrain(const Assignment& assignment);
  void CheckSlots();
  void CheckTwins();
  void Live(Millis by);
  void Uncordon(const NodeId& node);
  void HangController();
  void StayCalm();
  void NoteSlack();
  // What is not as it should be in the end; empty when all is.
  std::string Unsettled() const;

  std::vector<std::unique_ptr<ModelAgent>> agents_;
  std::vector<std::unique_ptr<ModelProxy>> proxies_;
  std::set<NodeId> gone_agents_;  // never come back
  std::set<ProxyId> gone_proxies_;
  bool operator_unfreezes_ = false;
  bool little_room_ = false;  // placements have to wait for each other
  uint32_t releases_ = 0;
  bool calm_ = false;
  std::map<std::set<AssignmentId>, Instant> twins_since_;
  std::map<AppId, uint32_t> floor_;  // in the calm: endpoints that must serve at any moment,
  std::map<AppId, uint32_t> slack_;  // but for those that rollouts may do without
  bool fails_ = false;               // the releases on their way are bad ones

  std::map<AssignmentId, Phase> seen_;               // as the controller was told
  std::map<AssignmentId, controller::Wish> wishes_;  // as last decided
  // Proxies that were asked before an assignment was told to stop: they must not use it any more.
  std::map<AssignmentId, std::set<ProxyId>> cleared_;

  std::vector<std::string> violations_;
  uint64_t trace_hash_ = 14695981039346656037u;
  std::vector<std::string> trace_;
  bool keep_trace_ = false;
};

}  // namespace pando::sim
