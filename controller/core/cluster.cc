// The public face: every call is the core's, followed by what comes of it.
#include "controller/core/cluster.h"

#include <utility>

#include "controller/core/cluster_core.h"

namespace pando::controller {

Cluster::Cluster(ClusterPolicy policy, DurableState state, Random random, Instant now)
    : core_(std::make_unique<Core>(policy, std::move(state), std::move(random), now)) {}
Cluster::~Cluster() = default;

void Cluster::Start(Instant now, Effects& effects) {
  core_->Start();
  core_->Finish(now, effects);
}

absl::StatusOr<std::vector<ApplyOutcome>> Cluster::Apply(const std::vector<AppRequest>& apps,
                                                         const std::vector<Gateway>& gateways,
                                                         const ApplyOptions& options, Instant now,
                                                         Effects& effects) {
  auto outcome = core_->Apply(apps, gateways, options);
  core_->Finish(now, effects);
  return outcome;
}

absl::Status Cluster::RemoveGateway(const std::string& name, Instant now, Effects& effects) {
  absl::Status status = core_->RemoveGateway(name);
  core_->Finish(now, effects);
  return status;
}

absl::StatusOr<ChangeOutcome> Cluster::Scale(const AppId& app, uint32_t replicas, Instant now,
                                             Effects& effects) {
  auto outcome = core_->Scale(app, replicas);
  core_->Finish(now, effects);
  return outcome;
}

absl::StatusOr<ChangeOutcome> Cluster::ScaleBy(const AppId& app, int32_t delta, Instant now,
                                               Effects& effects) {
  auto outcome = core_->ScaleBy(app, delta);
  core_->Finish(now, effects);
  return outcome;
}

absl::StatusOr<ChangeOutcome> Cluster::SetStopped(const AppId& app, bool stopped, Instant now,
                                                  Effects& effects) {
  auto outcome = core_->SetStopped(app, stopped);
  core_->Finish(now, effects);
  return outcome;
}

absl::StatusOr<ChangeOutcome> Cluster::Restart(const AppId& app, Instant now, Effects& effects,
                                               const Origin& origin) {
  auto outcome = core_->Restart(app, origin);
  core_->Finish(now, effects);
  return outcome;
}

absl::StatusOr<ChangeOutcome> Cluster::Undo(const AppId& app, uint32_t to, Instant now,
                                            Effects& effects) {
  auto outcome = core_->Undo(app, to);
  core_->Finish(now, effects);
  return outcome;
}

absl::StatusOr<ChangeOutcome> Cluster::SetPaused(const AppId& app, bool paused, Instant now,
                                                 Effects& effects) {
  auto outcome = core_->SetPaused(app, paused);
  core_->Finish(now, effects);
  return outcome;
}

absl::StatusOr<ChangeOutcome> Cluster::Promote(const AppId& app, bool all, Instant now,
                                               Effects& effects) {
  auto outcome = core_->Promote(app, all);
  core_->Finish(now, effects);
  return outcome;
}

absl::StatusOr<ChangeOutcome> Cluster::Remove(const AppId& app, Instant now, Effects& effects) {
  auto outcome = core_->Remove(app);
  core_->Finish(now, effects);
  return outcome;
}

absl::Status Cluster::SetCordoned(const NodeId& node, bool cordoned, Instant now,
                                  Effects& effects) {
  absl::Status status = core_->SetCordoned(node, cordoned, now);
  core_->Finish(now, effects);
  return status;
}

absl::StatusOr<DrainOutcome> Cluster::DrainNode(const NodeId& node, Millis deadline, Instant now,
                                                Effects& effects) {
  auto outcome = core_->DrainNode(node, deadline, now);
  core_->Finish(now, effects);
  return outcome;
}

absl::StatusOr<RebalanceOutcome> Cluster::Rebalance(const AppId& app, bool plan_only, Instant now,
                                                    Effects& effects) {
  auto outcome = core_->Rebalance(app, plan_only, now);
  core_->Finish(now, effects);
  return outcome;
}

absl::Status Cluster::Unfreeze(Instant now, Effects& effects) {
  absl::Status status = core_->Unfreeze(now);
  core_->Finish(now, effects);
  return status;
}

absl::Status Cluster::NodeConnected(const NodeHello& hello, Instant now, Effects& effects) {
  absl::Status status = core_->NodeConnected(hello, now);
  core_->Finish(now, effects);
  return status;
}

void Cluster::NodeDisconnected(const NodeId& node, Instant now, Effects& effects) {
  core_->NodeDisconnected(node);
  core_->Finish(now, effects);
}

void Cluster::NodeHeartbeat(const NodeId& node, Instant now, Effects& effects) {
  core_->NodeHeartbeat(node, now);
  core_->Finish(now, effects);
}

void Cluster::InstanceChanged(const NodeId& node, const InstanceReport& report, Instant now,
                              Effects& effects) {
  core_->InstanceChanged(node, report, now);
  core_->Finish(now, effects);
}

void Cluster::InstanceGone(const NodeId& node, const AssignmentId& id, Instant now,
                           Effects& effects) {
  core_->InstanceGone(node, id, now);
  core_->Finish(now, effects);
}

void Cluster::ProxyConnected(const ProxyId& proxy, const ProxyCapabilities& capabilities,
                             Instant now, Effects& effects) {
  core_->ProxyConnected(proxy, capabilities);
  core_->Finish(now, effects);
}

void Cluster::ProxyDisconnected(const ProxyId& proxy, Instant now, Effects& effects) {
  core_->ProxyDisconnected(proxy, now);
  core_->Finish(now, effects);
}

void Cluster::ProxyExpected(const ProxyId& proxy, Instant now, Effects& effects) {
  core_->ProxyExpected(proxy, now);
  core_->Finish(now, effects);
}

void Cluster::ProxyLeft(const ProxyId& proxy, Instant now, Effects& effects) {
  core_->ProxyLeft(proxy);
  core_->Finish(now, effects);
}

void Cluster::ProxyAcked(const ProxyId& proxy, const AppId& app, uint64_t generation, Instant now,
                         Effects& effects) {
  core_->ProxyAcked(proxy, app, generation, now);
  core_->Finish(now, effects);
}

void Cluster::ProxyNacked(const ProxyId& proxy, const std::string& reason, Instant now,
                          Effects& effects) {
  core_->ProxyNacked(proxy, reason);
  core_->Finish(now, effects);
}

void Cluster::ProxyNackOver(const ProxyId& proxy, Instant now, Effects& effects) {
  core_->ProxyNackOver(proxy);
  core_->Finish(now, effects);
}

void Cluster::ProxyReported(const ProxyId& proxy, const AssignmentId& assignment,
                            const EndpointReport& report, Instant now, Effects& effects) {
  core_->ProxyReported(proxy, assignment, report, now);
  core_->Finish(now, effects);
}

void Cluster::ProxyLoads(const std::vector<std::pair<AssignmentId, Load>>& loads, Instant now,
                         Effects& effects) {
  core_->ProxyLoads(loads, now);
  core_->Finish(now, effects);
}

void Cluster::Tick(Instant now, Effects& effects) {
  core_->Tick(now);
  core_->Finish(now, effects);
}

bool Cluster::frozen() const { return core_->frozen(); }
std::string Cluster::frozen_reason() const { return core_->frozen_reason(); }
bool Cluster::recovering() const { return core_->recovering(); }
uint32_t Cluster::moves_left() const { return core_->moves_left(); }
std::vector<AppId> Cluster::apps() const { return core_->apps(); }
absl::StatusOr<AppStatus> Cluster::GetApp(const AppId& app) const { return core_->GetApp(app); }
std::vector<InstanceStatus> Cluster::GetInstances(const AppId& app) const {
  return core_->GetInstances(app);
}
absl::StatusOr<Explanation> Cluster::Why(const std::string& target, Instant now) const {
  return core_->Why(target, now);
}

std::vector<NodeStatus> Cluster::GetNodes(Instant now) const { return core_->GetNodes(now); }
std::vector<ProxyStatus> Cluster::GetProxies(Instant now) const { return core_->GetProxies(now); }
std::vector<Gateway> Cluster::GetGateways() const { return core_->GetGateways(); }
const UpstreamTable* Cluster::Table(const AppId& app) const { return core_->Table(app); }
const Revision* Cluster::FindRevision(const AppId& app, uint32_t number) const {
  return core_->FindRevision(app, number);
}
absl::StatusOr<std::vector<ReleaseStatus>> Cluster::GetHistory(const AppId& app) const {
  return core_->GetHistory(app);
}
std::vector<const Revision*> Cluster::Revisions() const { return core_->Revisions(); }
NodeOrders Cluster::OrdersFor(const NodeId& node) const { return core_->OrdersFor(node); }

}  // namespace pando::controller
