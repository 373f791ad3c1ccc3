// An agent and its processes as the controller knows them: it runs what it is ordered to, restarts
// what exits, keeps everything when it is restarted itself, and tells all of it in each hello.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "controller/core/model.h"
#include "tests/sim/link.h"

namespace pando::sim {

class World;

using controller::Assignment;
using controller::InstanceReport;
using controller::Phase;

struct Process {
  Assignment assignment;
  InstanceReport report;
  bool stopping = false;
  bool running() const { return report.phase != Phase::kBackoff && report.phase != Phase::kFailed; }
};

class ModelAgent {
 public:
  ModelAgent(World& world, std::string name, std::string zone, uint32_t max_instances);

  // ---- faults ----
  void RestartAgent();  // instances live on
  void RebootNode();    // instances die, and are started again from the last orders
  void Kill();          // the power is cut: nothing runs, nobody is told
  void PowerOn();
  void CutOff(bool cut);  // no connection to the controller is possible
  void BreakStream();
  void CrashOne();
  void FailProbeOfOne();

  // ---- called by the controller's side of the link ----
  void TakeOrders(const std::vector<Assignment>& orders);
  void Rejected();

  const NodeId& node() const { return node_; }
  bool connected() const { return link_ != nullptr && !cut_off_ && !dead_; }
  const std::map<AssignmentId, Process>& processes() const { return processes_; }
  // The process that listens there; nullptr when the connection is refused.
  const Process* At(uint16_t port) const;

 private:
  void Connect();
  void ConnectLater();
  void Heartbeat(std::shared_ptr<Link> link);
  void Start(const Assignment& assignment);
  void Launch(const AssignmentId& id);
  void Exit(const AssignmentId& id);
  void Stop(Process& process);
  void Report(const Process& process);
  bool IsCurrent(const AssignmentId& id, uint32_t incarnation) const;

  World& world_;
  const NodeId node_;
  const std::string zone_;
  const uint32_t max_instances_;
  std::map<AssignmentId, Process> processes_;
  std::map<AssignmentId, Assignment> orders_;  // as last received, kept on disk
  std::shared_ptr<Link> link_;
  bool cut_off_ = false;
  bool dead_ = false;
  bool connecting_ = false;
  uint16_t next_port_ = 20'000;
};

}  // namespace pando::sim
