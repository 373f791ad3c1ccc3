#include "common/runtime/metric_definition.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "common/runtime/metric_docs.h"

namespace pando {
MetricSamples::MetricSamples(const MetricDefinition& definition) : definition_(definition) {}

void MetricSamples::Add(double value, std::vector<std::string> label_values) {
  if (label_values.size() != definition_.labels.size()) std::abort();  // a mistake of ours
  samples_.emplace_back(std::move(label_values), value);
}

prometheus::MetricFamily MetricSamples::Take() const {
  prometheus::MetricFamily family;
  family.name = definition_.name;
  family.help = definition_.help;
  family.type = definition_.type;
  auto samples = samples_;
  std::stable_sort(samples.begin(), samples.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  const bool is_counter = definition_.type == prometheus::MetricType::Counter;
  const std::vector<std::string>* previous = nullptr;
  for (const auto& [values, value] : samples) {
    if (previous == nullptr || *previous != values) {
      prometheus::ClientMetric& metric = family.metric.emplace_back();
      for (size_t i = 0; i < values.size(); ++i) {
        metric.label.push_back({definition_.labels[i], values[i]});
      }
    }
    previous = &values;
    prometheus::ClientMetric& metric = family.metric.back();
    (is_counter ? metric.counter.value : metric.gauge.value) += value;
  }
  return family;
}

prometheus::Family<prometheus::Counter>& AddCounterFamily(Metrics& metrics,
                                                          const MetricDefinition& definition) {
  return prometheus::BuildCounter()
      .Name(definition.name)
      .Help(definition.help)
      .Register(metrics.registry());
}

prometheus::Family<prometheus::Gauge>& AddGaugeFamily(Metrics& metrics,
                                                      const MetricDefinition& definition) {
  return prometheus::BuildGauge()
      .Name(definition.name)
      .Help(definition.help)
      .Register(metrics.registry());
}

prometheus::Counter& AddCounter(Metrics& metrics, const MetricDefinition& definition) {
  return AddCounterFamily(metrics, definition).Add({});
}

prometheus::Gauge& AddGauge(Metrics& metrics, const MetricDefinition& definition) {
  return AddGaugeFamily(metrics, definition).Add({});
}

prometheus::Histogram& AddHistogram(Metrics& metrics, const MetricDefinition& definition,
                                    const prometheus::Histogram::BucketBoundaries& bounds) {
  return prometheus::BuildHistogram()
      .Name(definition.name)
      .Help(definition.help)
      .Register(metrics.registry())
      .Add({}, bounds);
}

std::string DescribeMetrics(std::span<const MetricDefinition> definitions) {
  std::vector<prometheus::MetricFamily> families;
  for (const MetricDefinition& definition : definitions) {
    MetricSamples samples(definition);
    samples.Add(0, definition.labels);
    families.push_back(samples.Take());
  }
  return DescribeMetrics(families);
}

}  // namespace pando
