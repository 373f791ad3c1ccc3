// Prometheus' HTTP service discovery (https://prometheus.io/docs/prometheus/latest/http_sd/): whom
// to scrape, told by the controller, which knows all. Used on the loop.
#pragma once

#include <map>
#include <string>

#include "common/base/ids.h"
#include "controller/core/cluster.h"

namespace pando::controller {

// Where others reach what listens on `listens` ("0.0.0.0:7481"), seen from `peer` (a numeric
// address): all addresses are reached at the peer's; loopback is reached from here only when the
// peer is on this host. Empty: nowhere.
std::string ReachableAddress(const std::string& listens, const std::string& peer);

// "ipv4:10.0.0.7:51234" and "ipv6:%5Bfe80::1%5D:51234", as gRPC names peers: the numeric address;
// empty for anything else.
std::string AddressOfPeer(const std::string& grpc_peer);

class ScrapeTargets {
 public:
  // `own` is the controller's own HTTP address, as it listens.
  explicit ScrapeTargets(std::string host_name) : host_name_(std::move(host_name)) {}

  void SetOwn(std::string listens) { own_ = std::move(listens); }
  // `address` as of ReachableAddress; empty: not to be scraped.
  void NodeAt(const NodeId& node, std::string address) { nodes_[node] = std::move(address); }
  void ProxyAt(const ProxyId& proxy, std::string address) { proxies_[proxy] = std::move(address); }

  // Labels: role (controller, agent, proxy), instance (its name), and node or proxy. Daemons that
  // are away stay listed as long as the cluster knows them: a scrape that fails says so.
  std::string Daemons(const Cluster& cluster, Instant now);
  // Instances in rotation of apps with `metrics`. Labels: app, instance, revision, node and
  // __metrics_path__.
  static std::string Apps(const Cluster& cluster);

 private:
  const std::string host_name_;
  std::string own_;
  std::map<NodeId, std::string> nodes_;
  std::map<ProxyId, std::string> proxies_;
};

}  // namespace pando::controller
