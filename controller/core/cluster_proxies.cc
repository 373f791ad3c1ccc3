// What proxies run, and what they still hold.
#include <algorithm>
#include <utility>

#include "controller/core/cluster_core.h"

namespace pando::controller {

void Cluster::Core::ProxyConnected(const ProxyId& id, const ProxyCapabilities& capabilities) {
  const auto [found, joined] = proxies_.try_emplace(id);
  ProxyEntry& proxy = found->second;
  if (joined) out_.writes.push_back(PutProxy{id});
  if (!proxy.connected) AddEvent("proxy-connected", {}, "", {}, id.value);
  proxy.connected = true;
  proxy.capabilities = capabilities;
  // It may be another process by now, even one with an older table from its disk: it counts by what
  // it acknowledges and reports from here on.
  proxy.acked.clear();
  proxy.nack.clear();  // what it still refuses it will refuse again
  proxy.reports = false;
  proxy.session += 1;
  deadlines_.Clear({DeadlineKey::kProxy, id.value});
  MarkAllDirty();
}

void Cluster::Core::ProxyDisconnected(const ProxyId& id, Instant now) {
  const auto found = proxies_.find(id);
  if (found == proxies_.end() || !found->second.connected) return;
  found->second.connected = false;
  found->second.reports = false;
  MarkRolloutsDirty();
  deadlines_.Set({DeadlineKey::kProxy, id.value}, now + policy_.proxy_lease);
  AddEvent("proxy-disconnected", {}, "", {}, id.value);
}

void Cluster::Core::ProxyExpected(const ProxyId& id, Instant now) {
  const auto [found, joined] = proxies_.try_emplace(id);
  if (!joined) return;
  out_.writes.push_back(PutProxy{id});
  deadlines_.Set({DeadlineKey::kProxy, id.value}, now + policy_.proxy_lease);
  MarkAllDirty();
}

void Cluster::Core::ProxyLeft(const ProxyId& id) {
  if (!proxies_.contains(id)) return;
  deadlines_.Clear({DeadlineKey::kProxy, id.value});
  ForgetProxy(id);
}

void Cluster::Core::ForgetProxy(const ProxyId& id) {
  proxies_.erase(id);
  out_.writes.push_back(DeleteProxy{id});
  AddEvent("proxy-forgotten", {}, "", {}, id.value);
  MarkAllDirty();
}

void Cluster::Core::ProxyAcked(const ProxyId& id, const AppId& app, uint64_t generation,
                               Instant now) {
  const auto found = proxies_.find(id);
  const AppEntry* entry = FindApp(app);
  if (found == proxies_.end() || entry == nullptr || generation > entry->table.generation) return;
  ProxyEntry& proxy = found->second;
  proxy.last_ack = now;
  uint64_t& acked = proxy.acked[app];
  if (generation <= acked) return;
  acked = generation;
  dirty_.insert(app);
}

void Cluster::Core::ProxyNacked(const ProxyId& id, const std::string& reason) {
  const auto found = proxies_.find(id);
  if (found == proxies_.end()) return;
  found->second.nack = reason;
  AddEvent("proxy-nack", {}, "", {}, id.value + ": " + reason);
}

void Cluster::Core::ProxyNackOver(const ProxyId& id) {
  const auto found = proxies_.find(id);
  if (found == proxies_.end() || found->second.nack.empty()) return;
  found->second.nack.clear();
  AddEvent("proxy-nack-over", {}, "", {}, id.value);
}

void Cluster::Core::ProxyReported(const ProxyId& id, const AssignmentId& assignment,
                                  const EndpointReport& report, Instant now) {
  const auto [entry, item] = FindAssignment(assignment);
  if (item == nullptr) return;
  const auto proxy = proxies_.find(id);
  if (proxy == proxies_.end()) return;  // reports come on a stream of their own, and again
  if (proxy->second.connected && !std::exchange(proxy->second.reports, true)) MarkRolloutsDirty();
  InFlight& said = item->in_flight[id];
  proxy->second.in_flight += report.in_flight;
  proxy->second.in_flight -= std::min(proxy->second.in_flight, said.requests);
  said = {report.in_flight, std::min(report.tunnels, report.in_flight), report.draining,
          proxy->second.session};
  changed_.insert(entry->app.id);
  if (report.draining && report.in_flight == 0) dirty_.insert(entry->app.id);

  item->reach.answered_at = std::max(item->reach.answered_at, report.reach.answered_at);
  if (report.reach.unreachable_at <= item->reach.unreachable_at) return;
  item->reach.unreachable_at = report.reach.unreachable_at;
  // In a freeze it may be what the doubt about the node hangs on.
  const NodeEntry& node = NodeOf(*item);
  if (frozen_ && node.state == NodeState::kSuspect) JudgeNodes({node.record.id}, now);
}

}  // namespace pando::controller
