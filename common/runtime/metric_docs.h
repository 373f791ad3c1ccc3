// Metrics described for people, from the metrics themselves: what docs/metrics.md says of a daemon
// is compared with this in a test, so that the two cannot differ.
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace pando {

// A Markdown table: name with its labels, type, help; in the order given. A family shows its labels
// by its first metric, so each must have one.
std::string DescribeMetrics(const std::vector<prometheus::MetricFamily>& families);

// OK when `text` is what stands in `file` between "<!-- metrics: program -->" and "<!-- end -->".
// Otherwise says so; with `write` it is put there.
absl::Status CheckMetricDocs(const std::string& file, const std::string& program,
                             const std::string& text, bool write);

}  // namespace pando
