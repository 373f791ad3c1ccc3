// Puts the four kinds of configuration together to the table the workers run. Pure; used by the
// control thread only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "proxy/core/upstream_table.h"

namespace pando::proxy {

// A cluster without its endpoints.
struct ClusterSpec : ClusterOptions {
  std::string name;
  Millis connect_timeout{5'000};
  std::string endpoints_name;                            // of its endpoints resource, unless inline
  std::optional<std::vector<Endpoint>> fixed_endpoints;  // inline
};

struct NamedResources {
  std::set<std::string> endpoints;
  std::set<std::string> routes;
};

class TableBuilder {
 public:
  void SetCluster(ClusterSpec cluster);
  void RemoveCluster(const std::string& name);
  void SetEndpoints(const std::string& name, std::vector<Endpoint> endpoints);
  void SetListener(Listener listener);
  void RemoveListener(const std::string& name);
  void SetRoutes(RouteTable routes);

  // Drops endpoints and routes that no cluster or listener names; returns the names that are.
  NamedResources Prune();

  const std::map<std::string, Listener>& listeners() const { return listeners_; }
  // An error if `changed` (instead of the listeners of those names) would share an address and port
  // with a listener that stays or with each other: "listener b: address: 0.0.0.0:8080 is that of
  // listener a".
  absl::Status CheckListeners(const std::vector<Listener>& changed,
                              const std::vector<std::string>& removed) const;
  // Listeners whose routes are here: the others would answer 404 to everything.
  std::vector<Listener> ReadyListeners() const;

  // A table of the ready listeners that `listening` lets pass. Clusters that did not change since
  // the last call are the same objects. Endpoints not here yet: the cluster has none.
  std::shared_ptr<const ProxyTable> Build(uint64_t version,
                                          absl::FunctionRef<bool(const Listener&)> listening);

 private:
  std::shared_ptr<const Cluster> BuildCluster(const ClusterSpec& spec);

  std::map<std::string, ClusterSpec> clusters_;
  std::map<std::string, std::vector<Endpoint>> endpoints_;
  std::map<std::string, Listener> listeners_;
  std::map<std::string, RouteTable> routes_;
  std::map<std::string, std::shared_ptr<const Cluster>> built_;
  EndpointRegistry registry_;
};

}  // namespace pando::proxy
