#include "proxy/core/table_builder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace pando::proxy {
namespace {

std::string AddressText(const Listener& listener) {
  const bool v6 = listener.address.find(':') != std::string::npos;
  return v6 ? absl::StrCat("[", listener.address, "]:", listener.port)
            : absl::StrCat(listener.address, ":", listener.port);
}

}  // namespace

void TableBuilder::SetCluster(ClusterSpec cluster) {
  built_.erase(cluster.name);
  std::string name = cluster.name;
  clusters_.insert_or_assign(std::move(name), std::move(cluster));
}

void TableBuilder::RemoveCluster(const std::string& name) {
  built_.erase(name);
  clusters_.erase(name);
}

void TableBuilder::SetEndpoints(const std::string& name, std::vector<Endpoint> endpoints) {
  endpoints_.insert_or_assign(name, std::move(endpoints));
  // Usually exactly the cluster of the same name; several may share one resource.
  for (const auto& [cluster, spec] : clusters_) {
    if (spec.endpoints_name == name) built_.erase(cluster);
  }
}

void TableBuilder::SetListener(Listener listener) {
  std::string name = listener.name;
  listeners_.insert_or_assign(std::move(name), std::move(listener));
}

void TableBuilder::RemoveListener(const std::string& name) { listeners_.erase(name); }

void TableBuilder::SetRoutes(RouteTable routes) {
  std::string name = routes.name;
  routes_.insert_or_assign(std::move(name), std::move(routes));
}

NamedResources TableBuilder::Prune() {
  NamedResources names;
  for (const auto& [name, cluster] : clusters_) {
    if (!cluster.fixed_endpoints) names.endpoints.insert(cluster.endpoints_name);
  }
  for (const auto& [name, listener] : listeners_) names.routes.insert(listener.route_table);
  std::erase_if(endpoints_, [&](const auto& e) { return !names.endpoints.contains(e.first); });
  std::erase_if(routes_, [&](const auto& r) { return !names.routes.contains(r.first); });
  return names;
}

absl::Status TableBuilder::CheckListeners(const std::vector<Listener>& changed,
                                          const std::vector<std::string>& removed) const {
  std::map<std::string, Listener> after = listeners_;
  for (const std::string& name : removed) after.erase(name);
  for (const Listener& listener : changed) after[listener.name] = listener;
  std::map<std::string, std::string> owners;  // address -> listener
  for (const auto& [name, listener] : after) {
    const auto [owner, is_new] = owners.try_emplace(AddressText(listener), name);
    if (is_new) continue;
    return absl::InvalidArgumentError(absl::StrCat("listener ", name, ": address: ", owner->first,
                                                   " is that of listener ", owner->second));
  }
  return absl::OkStatus();
}

std::vector<Listener> TableBuilder::ReadyListeners() const {
  std::vector<Listener> ready;
  for (const auto& [name, listener] : listeners_) {
    if (routes_.contains(listener.route_table)) ready.push_back(listener);
  }
  return ready;
}

std::shared_ptr<const ProxyTable> TableBuilder::Build(
    uint64_t version, absl::FunctionRef<bool(const Listener&)> listening) {
  auto table = std::make_shared<ProxyTable>();
  table->version = version;
  for (Listener& listener : ReadyListeners()) {
    if (listening(listener)) table->listeners.push_back(std::move(listener));
  }
  table->routes = routes_;
  for (const auto& [name, spec] : clusters_) {
    std::shared_ptr<const Cluster>& built = built_[name];
    if (built == nullptr) built = BuildCluster(spec);
    table->clusters.emplace(name, built);
  }
  registry_.Sweep();
  return table;
}

std::shared_ptr<const Cluster> TableBuilder::BuildCluster(const ClusterSpec& spec) {
  auto cluster = std::make_shared<Cluster>();
  cluster->name = spec.name;
  static_cast<ClusterOptions&>(*cluster) = spec;
  cluster->connect_timeout = spec.connect_timeout;
  if (spec.fixed_endpoints) {
    cluster->endpoints = *spec.fixed_endpoints;
  } else if (const auto found = endpoints_.find(spec.endpoints_name); found != endpoints_.end()) {
    cluster->endpoints = found->second;
  }
  for (Endpoint& endpoint : cluster->endpoints) {
    endpoint.counters = registry_.Get(spec.name, endpoint.address, endpoint.port);
  }
  return cluster;
}

}  // namespace pando::proxy
