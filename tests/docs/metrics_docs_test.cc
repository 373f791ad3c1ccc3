// docs/metrics.md is what the code says; the proxy's part is in
// proxy/control/proxy_metrics_test.cc.
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "agent/agent_metrics.h"
#include "agent/instance_metrics.h"
#include "common/runtime/metric_definition.h"
#include "common/runtime/metric_docs.h"
#include "controller/service/cluster_metrics.h"

namespace pando {
namespace {

struct Section {
  std::string program;
  std::vector<MetricDefinition> metrics;
};

std::vector<Section> Sections() {
  std::vector<MetricDefinition> agent = agent::AgentMetrics::Definitions();
  for (const MetricDefinition& metric : agent::InstanceMetrics::Definitions()) {
    agent.push_back(metric);
  }
  return {{"all", CommonMetrics()},
          {"pando-controller", controller::ControllerMetrics()},
          {"pando-agent", agent}};
}

TEST(MetricsDocTest, TheDocumentIsAsTheCodeSays) {
  for (const Section& section : Sections()) {
    const absl::Status status =
        CheckMetricDocs(PANDO_METRICS_DOC, section.program, DescribeMetrics(section.metrics),
                        std::getenv("PANDO_WRITE_DOCS") != nullptr);
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST(MetricsDocTest, NamesFollowTheConventions) {
  for (const Section& section : Sections()) {
    std::set<std::string> names;
    for (const MetricDefinition& metric : section.metrics) {
      SCOPED_TRACE(metric.name);
      EXPECT_TRUE(names.insert(metric.name).second) << "defined twice";
      const bool is_counter = metric.type == prometheus::MetricType::Counter;
      EXPECT_EQ(metric.name.ends_with("_total"), is_counter);
      EXPECT_TRUE(metric.name.starts_with("pando_") || metric.name.starts_with("process_"));
      EXPECT_FALSE(metric.name.ends_with("_ms")) << "durations are in seconds";
      EXPECT_FALSE(metric.help.empty());
      EXPECT_NE(metric.help.back(), '.');
    }
  }
}

}  // namespace
}  // namespace pando
