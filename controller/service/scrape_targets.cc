#include "controller/service/scrape_targets.h"

#include <boost/asio/ip/address.hpp>
#include <boost/json.hpp>
#include <initializer_list>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "pando/v1/spec.pb.h"

namespace pando::controller {
namespace {

namespace json = boost::json;
using boost::asio::ip::address;
using Labels = std::initializer_list<std::pair<const char*, std::string>>;

std::string Join(const std::string& host, absl::string_view port) {
  return absl::StrContains(host, ':') ? absl::StrCat("[", host, "]:", port)
                                      : absl::StrCat(host, ":", port);
}

void AddTarget(json::array& groups, const std::string& target, Labels labels) {
  json::object named;
  for (const auto& [name, value] : labels) named[name] = value;
  groups.push_back({{"targets", json::array{target}}, {"labels", std::move(named)}});
}

}  // namespace

std::string ReachableAddress(const std::string& listens, const std::string& peer) {
  const size_t colon = listens.rfind(':');
  if (colon == std::string::npos) return "";
  std::string host = listens.substr(0, colon);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  boost::system::error_code not_numeric, unknown_peer;
  const address at = boost::asio::ip::make_address(host, not_numeric);
  const address from = boost::asio::ip::make_address(peer, unknown_peer);
  if (not_numeric) return "";
  if (at.is_unspecified()) return unknown_peer ? "" : Join(peer, listens.substr(colon + 1));
  if (at.is_loopback() && (unknown_peer || !from.is_loopback())) return "";
  return listens;
}

std::string AddressOfPeer(const std::string& grpc_peer) {
  std::string text = absl::StrReplaceAll(grpc_peer, {{"%5B", "["}, {"%5D", "]"}});
  absl::string_view rest = text;
  if (!absl::ConsumePrefix(&rest, "ipv4:") && !absl::ConsumePrefix(&rest, "ipv6:")) return "";
  rest = rest.substr(0, rest.rfind(':'));
  if (absl::ConsumePrefix(&rest, "[")) absl::ConsumeSuffix(&rest, "]");
  return std::string(rest);
}

std::string ScrapeTargets::Daemons(const Cluster& cluster, Instant now) {
  json::array groups;
  // An address of this host that others can use, when it listens on all of them.
  const std::string own = ReachableAddress(own_, "127.0.0.1");
  const bool on_all = absl::StartsWith(own_, "0.0.0.0:") || absl::StartsWith(own_, "[::]:");
  AddTarget(groups, on_all ? Join(host_name_, own_.substr(own_.rfind(':') + 1)) : own,
            {{"role", "controller"}, {"instance", "controller"}});
  std::set<NodeId> nodes;
  for (const NodeStatus& node : cluster.GetNodes(now)) {
    nodes.insert(node.record.id);
    const auto at = nodes_.find(node.record.id);
    if (at == nodes_.end() || at->second.empty()) continue;
    const std::string& name = node.record.id.value;
    AddTarget(groups, at->second, {{"role", "agent"}, {"instance", name}, {"node", name}});
  }
  std::set<ProxyId> proxies;
  for (const ProxyStatus& proxy : cluster.GetProxies(now)) {
    proxies.insert(proxy.id);
    const auto at = proxies_.find(proxy.id);
    if (at == proxies_.end() || at->second.empty()) continue;
    AddTarget(groups, at->second,
              {{"role", "proxy"}, {"instance", proxy.id.value}, {"proxy", proxy.id.value}});
  }
  std::erase_if(nodes_, [&](const auto& entry) { return nodes.count(entry.first) == 0; });
  std::erase_if(proxies_, [&](const auto& entry) { return proxies.count(entry.first) == 0; });
  return json::serialize(groups);
}

std::string ScrapeTargets::Apps(const Cluster& cluster) {
  json::array groups;
  for (const InstanceStatus& instance : cluster.GetInstances({})) {
    const Assignment& assignment = instance.assignment;
    if (instance.state != "in-rotation" || instance.address.empty()) continue;
    const Revision* const revision = cluster.FindRevision(assignment.app, assignment.revision);
    v1::AppSpec spec;
    if (revision == nullptr || !spec.ParseFromString(revision->config.payload) ||
        spec.metrics().path().empty()) {
      continue;
    }
    AddTarget(groups, instance.address,
              {{"app", assignment.app.value},
               {"instance", InstanceName(assignment.app, assignment.slot)},
               {"revision", absl::StrCat(assignment.revision)},
               {"node", assignment.node.value},
               {"__metrics_path__", spec.metrics().path()}});
  }
  return json::serialize(groups);
}

}  // namespace pando::controller
