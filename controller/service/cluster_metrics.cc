#include "controller/service/cluster_metrics.h"

#include <map>
#include <string>
#include <utility>

#include "controller/service/admin_views.h"

namespace pando::controller {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

prometheus::MetricFamily Gauges(std::string name, std::string help,
                                const std::map<Labels, double>& values) {
  prometheus::MetricFamily family;
  family.name = std::move(name);
  family.help = std::move(help);
  family.type = prometheus::MetricType::Gauge;
  for (const auto& [labels, value] : values) {
    prometheus::ClientMetric& metric = family.metric.emplace_back();
    for (const auto& [label, text] : labels) metric.label.push_back({label, text});
    metric.gauge.value = value;
  }
  return family;
}

}  // namespace

std::vector<prometheus::MetricFamily> ClusterMetrics::Collect() const {
  const Cluster& cluster = control_.cluster();
  const Instant now = loop_.Now();
  const std::vector<AppId> apps = cluster.apps();
  std::map<Labels, double> instances, nodes, proxies, generations;
  for (const InstanceStatus& instance : cluster.GetInstances({})) {
    ++instances[{{"app", instance.assignment.app.value}, {"state", instance.state}}];
  }
  for (const NodeStatus& node : cluster.GetNodes(now)) {
    ++nodes[{{"state", NodeStateName(node.state)}}];
  }
  for (const ProxyStatus& proxy : cluster.GetProxies(now)) {
    ++proxies[{{"state", ProxyStateName(proxy)}}];
  }
  for (const AppId& app : apps) {
    if (const UpstreamTable* table = cluster.Table(app)) {
      generations[{{"app", app.value}}] = static_cast<double>(table->generation);
    }
  }
  const Labels none;
  return {
      Gauges("pando_apps", "Apps", {{none, static_cast<double>(apps.size())}}),
      Gauges("pando_instances", "Instances by app and state", instances),
      Gauges("pando_nodes", "Nodes by state", nodes),
      Gauges("pando_proxies", "Proxies by state", proxies),
      Gauges("pando_table_generation", "Generation of the app's upstream table", generations),
      Gauges("pando_frozen", "1 while mass loss keeps everything as it is",
             {{none, cluster.frozen() ? 1.0 : 0.0}}),
      Gauges("pando_term", "Term of this leader", {{none, static_cast<double>(control_.term())}}),
  };
}

}  // namespace pando::controller
