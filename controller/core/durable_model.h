// What a store would hold, for tests: the writes of a Cluster applied in order.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "controller/core/cluster.h"

namespace pando::controller {

class DurableModel {
 public:
  void Apply(const std::vector<Write>& writes) {
    for (const Write& write : writes) {
      std::visit([this](const auto& w) { Do(w); }, write);
    }
  }

  DurableState Load() const {
    DurableState state;
    for (const auto& [id, app] : apps_) state.apps.push_back(app);
    for (const auto& [key, revision] : revisions_) state.revisions.push_back(revision);
    for (const auto& [id, assignment] : assignments_) state.assignments.push_back(assignment);
    for (const auto& [id, node] : nodes_) state.nodes.push_back(node);
    for (const ProxyId& id : proxies_) state.proxies.push_back(id);
    for (const auto& [name, gateway] : gateways_) state.gateways.push_back(gateway);
    return state;
  }

  const std::map<AssignmentId, Assignment>& assignments() const { return assignments_; }
  const std::map<AppId, App>& apps() const { return apps_; }
  const std::map<std::pair<AppId, uint32_t>, Revision>& revisions() const { return revisions_; }

 private:
  void Do(const PutApp& w) { apps_[w.app.id] = w.app; }
  void Do(const DeleteApp& w) { apps_.erase(w.app); }
  void Do(const PutRevision& w) { revisions_[{w.revision.app, w.revision.number}] = w.revision; }
  void Do(const DeleteRevision& w) { revisions_.erase({w.app, w.number}); }
  void Do(const PutAssignment& w) { assignments_[w.assignment.id] = w.assignment; }
  void Do(const DeleteAssignment& w) { assignments_.erase(w.id); }
  void Do(const PutNode& w) { nodes_[w.node.id] = w.node; }
  void Do(const PutProxy& w) { proxies_.insert(w.proxy); }
  void Do(const DeleteProxy& w) { proxies_.erase(w.proxy); }
  void Do(const PutGateway& w) { gateways_[w.gateway.name] = w.gateway; }
  void Do(const DeleteGateway& w) { gateways_.erase(w.name); }

  std::map<AppId, App> apps_;
  std::map<std::pair<AppId, uint32_t>, Revision> revisions_;
  std::map<AssignmentId, Assignment> assignments_;
  std::map<NodeId, NodeRecord> nodes_;
  std::set<ProxyId> proxies_;
  std::map<std::string, Gateway> gateways_;
};

}  // namespace pando::controller
