// What operators are shown.
#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controller/core/cluster_core.h"
#include "controller/core/crash_loop.h"
#include "controller/core/no_such.h"
#include "controller/core/upstream_table.h"

namespace pando::controller {
namespace {

std::string HostPort(const std::string& address, uint16_t port) {
  const bool is_v6 = address.find(':') != std::string::npos;
  return is_v6 ? absl::StrCat("[", address, "]:", port) : absl::StrCat(address, ":", port);
}

std::string WordFor(const AssignmentEntry& item, const NodeEntry& node, bool shown_suspect,
                    bool available) {
  if (node.state == NodeState::kLost) return "lost";
  if (item.assignment.wish == Wish::kDrain) return "draining";
  if (item.assignment.wish == Wish::kStop) return "stopping";
  if (shown_suspect) return "suspect";
  if (!item.report) return "assigned";
  if (IsCrashLoop(*item.report)) return "crash-loop";
  switch (item.report->phase) {
    case Phase::kStarting:
      return "starting";
    case Phase::kReady:
      return available ? "in-rotation" : "ready";
    case Phase::kUnhealthy:
      return "unhealthy";
    case Phase::kBackoff:
      return "backoff";
    case Phase::kStopping:
      return "stopping";
    case Phase::kFailed:
      return "failed";
    case Phase::kPreparing:
      return "preparing";
  }
  return "";
}

}  // namespace

bool Cluster::Core::recovering() const {
  if (recovery_window_over_) return false;
  return std::any_of(nodes_.begin(), nodes_.end(), [](const auto& pair) {
    return !pair.second.heard && !pair.second.assignments.empty();
  });
}

std::vector<AppId> Cluster::Core::apps() const {
  std::vector<AppId> ids;
  for (const auto& [id, entry] : apps_) ids.push_back(id);
  return ids;
}

absl::StatusOr<AppStatus> Cluster::Core::GetApp(const AppId& id) const {
  const AppEntry* entry = FindApp(id);
  if (entry == nullptr) return NoSuch("app", id.value, apps_);
  AppStatus status;
  status.app = entry->app;
  status.config = ConfigOf(*entry, entry->app.revision);
  const uint32_t wanted = WantedReplicas(entry->app);
  const uint64_t acked = AckedByAll(id);
  bool others_in_rotation = false;
  for (const auto& [assignment_id, item] : entry->assignments) {
    const Assignment& a = item.assignment;
    const bool current = a.revision == entry->app.revision && a.slot <= wanted && !IsLeaving(item);
    if (a.wish != Wish::kRun) {
      ++status.draining;
    } else if (!current) {
      ++status.outdated;
    } else {
      ++status.placed;
      if (item.report && item.report->phase == Phase::kReady) ++status.ready;
      if (IsAvailable(item, acked)) ++status.available;
      continue;
    }
    others_in_rotation |= IsServing(item);
  }
  status.proxies_live = static_cast<uint32_t>(proxies_.size());
  for (const auto& [proxy_id, proxy] : proxies_) {
    const auto found = proxy.acked.find(id);
    const bool newest =
        entry->published && found != proxy.acked.end() && found->second >= entry->table.generation;
    if (newest) ++status.proxies_acked;
  }
  const bool complete = status.available == wanted && status.outdated == 0 && !others_in_rotation;
  const Rollout& rollout = entry->app.rollout;
  // What is going to be rolled back, once all of it is in sight, has not come to rest yet.
  if (!MayRollBack(*entry)) status.failure = FailureOf(*entry);
  if (!status.failure.empty()) {
    status.rollout = RolloutPhase::kFailed;
  } else if (rollout.failed != 0) {
    status.rollout = RolloutPhase::kRolledBack;
    status.failure = rollout.failure;
  } else if (!rollout.done && rollout.paused) {
    status.rollout = RolloutPhase::kPaused;
  } else {
    status.rollout = complete ? RolloutPhase::kComplete : RolloutPhase::kProgressing;
  }
  // Those of a stopped app never get on.
  const bool rolled_out = rollout.done || entry->app.stopped || entry->app.removing;
  status.settled = complete && rolled_out && status.rollout != RolloutPhase::kFailed &&
                   entry->published && !IsHeld(*entry) &&
                   status.proxies_acked == status.proxies_live;
  status.pending_reason = entry->pending_reason;
  status.steps = static_cast<uint32_t>(StepsOf(StrategyOf(*entry), wanted).size());
  status.step = CurrentStep(StrategyOf(*entry), rollout, wanted);
  if (status.step) {
    status.step_number = rollout.step + 1;
    status.waits_for_promote = status.step->manual && entry->clock.step_since.has_value();
  }
  status.loads = entry->loads;
  return status;
}

std::vector<InstanceStatus> Cluster::Core::GetInstances(const AppId& only) const {
  std::vector<InstanceStatus> all;
  for (const auto& [id, entry] : apps_) {
    if (!only.empty() && id != only) continue;
    const size_t first = all.size();
    const uint64_t acked = AckedByAll(id);
    const uint32_t wanted = WantedReplicas(entry.app);
    std::set<uint32_t> filled;
    for (const auto& [assignment_id, item] : entry.assignments) {
      const Assignment& a = item.assignment;
      const NodeEntry& node = NodeOf(item);
      const bool leaving = a.wish == Wish::kRun && IsLeaving(item);
      if (a.wish == Wish::kRun && a.revision == entry.app.revision && !leaving) {
        filled.insert(a.slot);
      }
      InstanceStatus status;
      status.assignment = a;
      status.state = WordFor(item, node, ShownSuspect(node), IsAvailable(item, acked));
      if (item.report) {
        status.report = *item.report;
        status.detail = DescribeCrash(*item.report);
        if (item.report->port != 0)
          status.address = HostPort(node.hello.address, item.report->port);
      }
      status.leaving = leaving;
      if (a.wish == Wish::kDrain) {
        const DrainVerdict verdict =
            JudgeDrain(ToDrainInput(entry, item), DrainProxies(entry, item), started_);
        if (!verdict.holders.empty()) {
          status.detail = absl::StrCat("waits for ", DescribeHolders(item, verdict.holders));
        }
      }
      if (leaving && status.detail.empty()) {
        status.detail = node.record.draining ? "moves: its node is drained" : "moves: rebalanced";
      }
      for (const auto& [proxy, in_flight] : item.in_flight) {
        status.in_flight += in_flight.requests;
        status.tunnels += in_flight.tunnels;
      }
      all.push_back(std::move(status));
    }
    // Slots without a place are shown too, unless their older instance still holds the slot.
    if (!entry.pending_reason.empty()) {
      for (uint32_t slot = 1; slot <= wanted; ++slot) {
        if (filled.count(slot) > 0) continue;
        InstanceStatus status;
        status.assignment.app = id;
        status.assignment.slot = slot;
        status.assignment.revision = entry.app.revision;
        status.state = "pending";
        status.detail = entry.pending_reason;
        all.push_back(std::move(status));
      }
    }
    std::sort(all.begin() + static_cast<std::ptrdiff_t>(first), all.end(),
              [](const InstanceStatus& a, const InstanceStatus& b) {
                return std::tie(a.assignment.slot, a.assignment.revision, a.assignment.id) <
                       std::tie(b.assignment.slot, b.assignment.revision, b.assignment.id);
              });
  }
  return all;
}

std::vector<NodeStatus> Cluster::Core::GetNodes(Instant now) const {
  std::vector<NodeStatus> all;
  for (const auto& [id, node] : nodes_) {
    NodeStatus status;
    status.record = node.record;
    status.state = node.state;
    status.hello = node.hello;
    status.instances = node.used.instances;
    status.cpu_millis_used = node.used.cpu_millis;
    status.memory_bytes_used = node.used.memory_bytes;
    if (node.heard) {
      status.heartbeat_age = std::chrono::duration_cast<Millis>(now - node.last_heard);
    }
    all.push_back(std::move(status));
  }
  return all;
}

std::vector<ProxyStatus> Cluster::Core::GetProxies(Instant now) const {
  std::vector<ProxyStatus> all;
  for (const auto& [id, proxy] : proxies_) {
    ProxyStatus status;
    status.id = id;
    status.connected = proxy.connected;
    status.version = proxy.capabilities.version;
    for (const auto& [app, entry] : apps_) {
      if (!entry.published) continue;
      ++status.apps_total;
      const auto found = proxy.acked.find(app);
      if (found != proxy.acked.end() && found->second >= entry.table.generation) {
        ++status.apps_acked;
      }
    }
    if (proxy.last_ack) {
      status.last_ack_age = std::chrono::duration_cast<Millis>(now - *proxy.last_ack);
    }
    status.nack = proxy.nack;
    status.in_flight = proxy.in_flight;
    all.push_back(std::move(status));
  }
  return all;
}

std::vector<Gateway> Cluster::Core::GetGateways() const {
  std::vector<Gateway> all;
  for (const auto& [name, gateway] : gateways_) all.push_back(gateway);
  return all;
}

const UpstreamTable* Cluster::Core::Table(const AppId& id) const {
  const AppEntry* entry = FindApp(id);
  return entry != nullptr && entry->published ? &entry->table : nullptr;
}

const Revision* Cluster::Core::FindRevision(const AppId& id, uint32_t number) const {
  const AppEntry* entry = FindApp(id);
  if (entry == nullptr) return nullptr;
  const auto found = entry->revisions.find(number);
  return found == entry->revisions.end() ? nullptr : &found->second;
}

absl::StatusOr<std::vector<ReleaseStatus>> Cluster::Core::GetHistory(const AppId& id) const {
  const AppEntry* entry = FindApp(id);
  if (entry == nullptr) return NoSuch("app", id.value, apps_);
  std::vector<ReleaseStatus> history;
  for (auto it = entry->revisions.rbegin(); it != entry->revisions.rend(); ++it) {
    history.push_back({it->second, it->first == entry->app.revision});
  }
  return history;
}

std::vector<const Revision*> Cluster::Core::Revisions() const {
  std::vector<const Revision*> revisions;
  for (const auto& [id, entry] : apps_) {
    for (const auto& [number, revision] : entry.revisions) revisions.push_back(&revision);
  }
  return revisions;
}

NodeOrders Cluster::Core::OrdersFor(const NodeId& id) const {
  NodeOrders orders{id, {}};
  const auto node = nodes_.find(id);
  if (node == nodes_.end()) return orders;
  for (const AssignmentId& assignment_id : node->second.assignments) {
    const AppEntry& entry = apps_.at(app_of_.at(assignment_id));
    const Assignment& assignment = entry.assignments.at(assignment_id).assignment;
    if (assignment.wish != Wish::kStop) orders.assignments.push_back(assignment);
  }
  return orders;
}

}  // namespace pando::controller
