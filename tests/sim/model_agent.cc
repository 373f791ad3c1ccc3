#include "tests/sim/model_agent.h"

#include <iterator>
#include <utility>

#include "tests/sim/sim_world.h"

namespace pando::sim {

using controller::NodeHello;

ModelAgent::ModelAgent(World& world, std::string name, std::string zone, uint32_t max_instances)
    : world_(world), node_{std::move(name)}, zone_(std::move(zone)), max_instances_(max_instances) {
  ConnectLater();
}

// ---- the session ----

void ModelAgent::ConnectLater() {
  if (connecting_) return;
  connecting_ = true;
  world_.executor.RunAfter(world_.random.Between(5, 600), [this] {
    connecting_ = false;
    Connect();
  });
}

void ModelAgent::Connect() {
  if (link_ != nullptr) return;
  if (dead_) return;
  if (cut_off_ || !world_.controller.running()) return ConnectLater();
  link_ = std::make_shared<Link>(world_.executor, world_.random, world_.controller_hangs_until);
  std::weak_ptr<Link> weak = link_;
  link_->OnClosed(Link::kClient, [this, weak] {
    if (link_ != weak.lock()) return;
    link_ = nullptr;
    ConnectLater();
  });
  NodeHello hello;
  hello.node = node_;
  hello.agent_id = node_.value + "-id";
  hello.address = node_.value;
  if (!zone_.empty()) hello.labels = {{"zone", zone_}};
  hello.max_instances = max_instances_;
  for (const auto& [id, process] : processes_) hello.instances.push_back(process.report);
  world_.controller.AcceptAgent(*this, link_, std::move(hello));
  Heartbeat(link_);
}

void ModelAgent::Heartbeat(std::shared_ptr<Link> link) {
  world_.executor.RunAfter(Millis{600}, [this, link] {
    if (link != link_) return;
    link->Send(Link::kServer, [this] { world_.controller.AgentHeartbeat(node_); });
    Heartbeat(link);
  });
}

void ModelAgent::Report(const Process& process) {
  if (link_ == nullptr) return;
  link_->Send(Link::kServer,
              [this, report = process.report] { world_.controller.AgentReport(node_, report); });
}

void ModelAgent::Rejected() { world_.Violation("agent " + node_.value + " was refused"); }

void ModelAgent::BreakStream() {
  if (link_ != nullptr) link_->Break();
}

void ModelAgent::CutOff(bool cut) {
  cut_off_ = cut;
  if (cut) BreakStream();
}

void ModelAgent::RestartAgent() {
  if (link_ == nullptr || dead_) return;
  std::exchange(link_, nullptr)->CloseBy(Link::kClient);
  ConnectLater();
}

// ---- processes ----

void ModelAgent::TakeOrders(const std::vector<Assignment>& orders) {
  if (dead_) return;
  orders_.clear();
  for (const Assignment& assignment : orders) orders_[assignment.id] = assignment;
  for (auto& [id, process] : processes_) {
    if (orders_.count(id) == 0 && !process.stopping) Stop(process);
  }
  for (const Assignment& assignment : orders) {
    if (processes_.count(assignment.id) == 0) Start(assignment);
  }
}

void ModelAgent::Start(const Assignment& assignment) {
  Process& process = processes_[assignment.id];
  process.assignment = assignment;
  process.report.assignment = assignment.id;
  Launch(assignment.id);
}

void ModelAgent::Launch(const AssignmentId& id) {
  Process& process = processes_.at(id);
  process.report.phase = Phase::kStarting;
  process.report.incarnation += 1;
  process.report.restarts = process.report.incarnation - 1;
  // Mostly the same port again, as a real agent tries.
  if (process.report.port == 0 || world_.random.Percent(20)) process.report.port = next_port_++;
  Report(process);
  const uint32_t incarnation = process.report.incarnation;
  const bool bad = world_.IsBadRelease(process.assignment);
  world_.executor.RunAfter(world_.random.Between(50, 700), [this, id, incarnation, bad] {
    if (!IsCurrent(id, incarnation)) return;
    Process& started = processes_.at(id);
    if (started.stopping) return;
    if (bad) {
      started.report.failed_starts += 1;
      return Exit(id);
    }
    started.report.failed_starts = 0;
    started.report.phase = Phase::kReady;
    Report(started);
  });
}

void ModelAgent::Exit(const AssignmentId& id) {
  Process& process = processes_.at(id);
  world_.ProcessExited(id);
  process.report.phase = Phase::kBackoff;
  process.report.detail = "exited with code 1";
  Report(process);
  const uint32_t incarnation = process.report.incarnation;
  world_.executor.RunAfter(world_.random.Between(50, 900), [this, id, incarnation] {
    if (IsCurrent(id, incarnation) && !processes_.at(id).stopping) Launch(id);
  });
}

void ModelAgent::Stop(Process& process) {
  const AssignmentId id = process.assignment.id;
  if (process.running()) world_.ProcessOrderedToStop(process);
  process.stopping = true;
  if (process.running()) process.report.phase = Phase::kStopping;
  Report(process);
  world_.executor.RunAfter(world_.random.Between(5, 800), [this, id] {
    const auto found = processes_.find(id);
    if (found == processes_.end() || !found->second.stopping) return;
    world_.ProcessExited(id);
    processes_.erase(found);
    if (orders_.count(id) > 0) {
      Start(orders_.at(id));
    } else if (link_ != nullptr) {
      link_->Send(Link::kServer, [this, id] { world_.controller.AgentGone(node_, id); });
    }
  });
}

void ModelAgent::RebootNode() {
  if (dead_) return;
  for (const auto& [id, process] : processes_) world_.ProcessExited(id);
  processes_.clear();
  RestartAgent();
  for (const auto& [id, assignment] : orders_) Start(assignment);
}

void ModelAgent::Kill() {
  if (dead_) return;
  dead_ = true;
  for (const auto& [id, process] : processes_) world_.ProcessExited(id);
  processes_.clear();
  if (link_ != nullptr) std::exchange(link_, nullptr)->Break();
}

void ModelAgent::PowerOn() {
  if (!std::exchange(dead_, false)) return;
  ConnectLater();
  for (const auto& [id, assignment] : orders_) Start(assignment);
}

void ModelAgent::CrashOne() {
  if (processes_.empty()) return;
  const auto victim = std::next(processes_.begin(), world_.random.Below(processes_.size()));
  if (victim->second.running() && !victim->second.stopping) Exit(victim->first);
}

void ModelAgent::FailProbeOfOne() {
  if (processes_.empty()) return;
  const auto found = std::next(processes_.begin(), world_.random.Below(processes_.size()));
  Process& process = found->second;
  if (process.report.phase != Phase::kReady) return;
  process.report.phase = Phase::kUnhealthy;
  Report(process);
  const AssignmentId id = found->first;
  const uint32_t incarnation = process.report.incarnation;
  world_.executor.RunAfter(world_.random.Between(100, 3'000), [this, id, incarnation] {
    if (!IsCurrent(id, incarnation)) return;
    Process& failing = processes_.at(id);
    if (failing.report.phase != Phase::kUnhealthy) return;
    failing.report.phase = Phase::kReady;
    Report(failing);
  });
}

bool ModelAgent::IsCurrent(const AssignmentId& id, uint32_t incarnation) const {
  const auto found = processes_.find(id);
  return found != processes_.end() && found->second.report.incarnation == incarnation;
}

const Process* ModelAgent::At(uint16_t port) const {
  for (const auto& [id, process] : processes_) {
    if (process.report.port == port && process.running()) return &process;
  }
  return nullptr;
}

}  // namespace pando::sim
