// A metric is defined once: what is exposed and what docs/metrics.md says of it come from the same
// words.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/runtime/metrics.h"

namespace pando {

struct MetricDefinition {
  std::string name;
  prometheus::MetricType type = prometheus::MetricType::Gauge;
  std::string help;
  std::vector<std::string> labels;
};

// Samples of one metric, made anew at every scrape (for a prometheus::Collectable).
class MetricSamples {
 public:
  explicit MetricSamples(const MetricDefinition& definition);

  // `label_values` in the order of the definition's labels, as many as there are. Series of the
  // same labels are added up: two would spoil the whole scrape.
  void Add(double value, std::vector<std::string> label_values = {});
  prometheus::MetricFamily Take() const;

 private:
  const MetricDefinition& definition_;
  std::vector<std::pair<std::vector<std::string>, double>> samples_;  // in the order of Add
};

// Metrics that live in the registry.
prometheus::Family<prometheus::Counter>& AddCounterFamily(Metrics& metrics,
                                                          const MetricDefinition& definition);
prometheus::Family<prometheus::Gauge>& AddGaugeFamily(Metrics& metrics,
                                                      const MetricDefinition& definition);
// Without labels.
prometheus::Counter& AddCounter(Metrics& metrics, const MetricDefinition& definition);
prometheus::Gauge& AddGauge(Metrics& metrics, const MetricDefinition& definition);
prometheus::Histogram& AddHistogram(Metrics& metrics, const MetricDefinition& definition,
                                    const prometheus::Histogram::BucketBoundaries& bounds);

// What every daemon exposes.
std::vector<MetricDefinition> CommonMetrics();

// As DescribeMetrics() of families, see metric_docs.h.
std::string DescribeMetrics(std::span<const MetricDefinition> definitions);

}  // namespace pando
