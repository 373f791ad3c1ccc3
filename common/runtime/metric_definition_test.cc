#include "common/runtime/metric_definition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace pando {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const MetricDefinition kMemory{
    "pando_memory_bytes", prometheus::MetricType::Gauge, "Resident memory", {"app", "node"}};

TEST(MetricSamplesTest, SamplesCarryTheLabelsOfTheDefinition) {
  MetricSamples samples(kMemory);
  samples.Add(10, {"web", "n1"});
  samples.Add(20, {"web", "n2"});
  const std::string text = SerializeMetrics({samples.Take()});
  EXPECT_THAT(text, HasSubstr("# HELP pando_memory_bytes Resident memory\n"
                              "# TYPE pando_memory_bytes gauge\n"
                              "pando_memory_bytes{app=\"web\",node=\"n1\"} 10\n"
                              "pando_memory_bytes{app=\"web\",node=\"n2\"} 20\n"));
}

TEST(MetricSamplesTest, SeriesOfTheSameLabelsAreOneWithTheirSum) {
  MetricSamples samples(kMemory);
  samples.Add(10, {"web", "n1"});
  samples.Add(1, {"api", "n1"});
  samples.Add(20, {"web", "n1"});
  const prometheus::MetricFamily family = samples.Take();
  ASSERT_EQ(family.metric.size(), 2u);
  EXPECT_EQ(family.metric[0].gauge.value, 1);
  EXPECT_EQ(family.metric[1].gauge.value, 30);
}

TEST(MetricSamplesTest, ACounterIsSerializedAsOne) {
  const MetricDefinition definition{
      "pando_things_total", prometheus::MetricType::Counter, "Things", {}};
  MetricSamples samples(definition);
  samples.Add(3);
  EXPECT_EQ(samples.Take().metric[0].counter.value, 3);
}

TEST(MetricDefinitionTest, WhatIsRegisteredBearsTheDefinitionsWords) {
  Metrics metrics("test");
  AddCounter(metrics, {"pando_events_total", prometheus::MetricType::Counter, "Events", {}})
      .Increment(2);
  AddHistogram(metrics, {"pando_wait_seconds", prometheus::MetricType::Histogram, "Waits", {}},
               {0.1, 1})
      .Observe(0.5);
  const std::string text = metrics.Serialize();
  EXPECT_THAT(text, HasSubstr("# HELP pando_events_total Events\n"));
  EXPECT_THAT(text, HasSubstr("pando_events_total 2\n"));
  EXPECT_THAT(text, HasSubstr("pando_wait_seconds_bucket{le=\"1\"} 1\n"));
}

TEST(MetricDefinitionTest, TheTableHasARowForEachMetric) {
  const std::array definitions = {
      kMemory, MetricDefinition{"pando_up", prometheus::MetricType::Gauge, "1 while it is up", {}}};
  EXPECT_EQ(DescribeMetrics(definitions),
            "| metric | type | meaning |\n"
            "|---|---|---|\n"
            "| `pando_memory_bytes{app,node}` | gauge | Resident memory |\n"
            "| `pando_up` | gauge | 1 while it is up |\n");
}

TEST(MetricDefinitionTest, EveryCommonMetricIsServedAndNoOther) {
  const std::string text = Metrics("test", "/").Serialize();
  size_t families = 0;
  for (const MetricDefinition& definition : CommonMetrics()) {
    EXPECT_THAT(text, HasSubstr("# HELP " + definition.name + " " + definition.help + "\n"));
    ++families;
  }
  size_t served = 0;
  for (size_t at = text.find("# TYPE "); at != std::string::npos; at = text.find("# TYPE ", at + 1))
    ++served;
  EXPECT_EQ(served, families);
  EXPECT_THAT(Metrics("test", "/no/such/directory").Serialize(), Not(HasSubstr("pando_data_dir")));
}

}  // namespace
}  // namespace pando
