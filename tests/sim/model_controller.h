// The shell around the real core, as it has to be: effects are committed in order, and only then
// sent; a crash loses what was not committed together with everything after it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controller/core/cluster.h"
#include "controller/core/durable_model.h"
#include "tests/sim/link.h"

namespace pando::sim {

class ModelAgent;
class ModelProxy;
class World;

using controller::Cluster;
using controller::ClusterPolicy;
using controller::DurableModel;
using controller::Effects;
using controller::InstanceReport;
using controller::NodeHello;
using controller::UpstreamTable;

class ModelController {
 public:
  ModelController(World& world, ClusterPolicy policy);

  void Start();
  void Crash();
  bool running() const { return cluster_ != nullptr; }
  const Cluster* cluster() const { return cluster_.get(); }
  const DurableModel& store() const { return store_; }

  // Calls an operator's command, when there is a controller.
  void Command(const std::function<void(Cluster&, Instant, Effects&)>& command);

  // ---- ends of links ----
  void AcceptAgent(ModelAgent& agent, std::shared_ptr<Link> link, NodeHello hello);
  void AgentHeartbeat(const NodeId& node);
  void AgentReport(const NodeId& node, const InstanceReport& report);
  void AgentGone(const NodeId& node, const AssignmentId& id);
  void AcceptProxy(ModelProxy& proxy, std::shared_ptr<Link> link,
                   std::map<AppId, UpstreamTable> has);
  void AcceptReports(const std::shared_ptr<Link>& link) { links_.push_back(link); }
  void ProxyAcks(ModelProxy& proxy, std::shared_ptr<Link> link,
                 const std::vector<std::pair<AppId, uint64_t>>& acked);
  void ProxyReports(const ProxyId& proxy, const AssignmentId& id,
                    const controller::EndpointReport& report);

 private:
  struct AgentSession {
    ModelAgent* agent = nullptr;
    std::shared_ptr<Link> link;
    bool sending = false;
    std::vector<controller::Assignment> newest;  // to be sent when what is being sent is
  };
  struct ProxySession {
    ModelProxy* proxy = nullptr;
    std::shared_ptr<Link> link;
    std::map<AppId, UpstreamTable> sent;  // what it has, or is on its way to it
    std::set<AppId> dirty;
    bool in_flight = false;  // one message until it is acknowledged
  };

  // Calls the core and takes its effects; does nothing in a dead controller.
  void Call(const std::function<void(Cluster&, Instant, Effects&)>& call);
  void Take(Effects effects);
  void CommitNext();
  void Release(const Effects& effects);
  void SendOrders(const NodeId& node);
  void SendTables(ProxySession& session);
  void TickAt(std::optional<Instant> when);

  World& world_;
  const ClusterPolicy policy_;
  DurableModel store_;
  std::unique_ptr<Cluster> cluster_;
  uint64_t life_ = 0;
  std::deque<Effects> uncommitted_;
  std::vector<std::weak_ptr<Link>> links_;  // all of this life
  std::map<NodeId, AgentSession> agents_;
  std::map<ProxyId, ProxySession> proxies_;
  std::map<AppId, UpstreamTable> published_;
  std::map<std::pair<ProxyId, AppId>, uint64_t> acked_;
  std::map<AppId, uint64_t> last_generation_;
};

}  // namespace pando::sim
