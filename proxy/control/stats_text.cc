#include "proxy/control/stats_text.h"

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace pando::proxy {
namespace {

constexpr size_t kColumns = 14;
using Row = std::array<std::string, kColumns>;

std::string Milliseconds(double seconds) {
  return seconds == 0 ? "-" : absl::StrFormat("%g", seconds * 1'000);
}

// "12", "3.4k", "5.6M": exact figures are in the JSON.
std::string Short(uint64_t number) {
  constexpr std::array<const char*, 5> kUnits = {"", "k", "M", "G", "T"};
  auto value = static_cast<double>(number);
  size_t unit = 0;
  while (value >= 1'000 && unit + 1 < kUnits.size()) {
    value /= 1'000;
    ++unit;
  }
  return unit == 0 ? absl::StrCat(number) : absl::StrFormat("%.1f%s", value, kUnits[unit]);
}

void FillCommon(const uint64_t (&by_class)[6], uint64_t sent, uint64_t received,
                const TimingStats& timing, Row& row) {
  for (size_t i = 2; i < 6; ++i) row[i] = Short(by_class[i]);
  row[8] = Short(sent);
  row[9] = Short(received);
  row[10] = Milliseconds(timing.first_byte.Quantile(0.5));
  row[11] = Milliseconds(timing.first_byte.Quantile(0.99));
  row[12] = Milliseconds(timing.total.Quantile(0.5));
  row[13] = Milliseconds(timing.total.Quantile(0.99));
}

Row OfApp(const ClusterStats& app) {
  Row row;
  row[0] = app.cluster;
  row[1] = absl::StrCat("(", app.instances.size(), ")");
  row[6] = Short(app.retries_total);
  row[7] = Short(app.queue.waiting);
  FillCommon(app.responses_by_class, app.request_bytes_total, app.response_bytes_total, app.timing,
             row);
  return row;
}

Row OfInstance(const InstanceStats& instance) {
  Row row;
  row[1] = instance.instance;
  row[6] = Short(instance.failures_total);
  FillCommon(instance.responses_by_class, instance.request_bytes_total,
             instance.response_bytes_total, instance.timing, row);
  return row;
}

// Names to the left, figures to the right.
std::string Format(const std::vector<Row>& rows) {
  std::array<size_t, kColumns> widths{};
  for (const Row& row : rows) {
    for (size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    for (size_t i = 0; i < kColumns; ++i) {
      const int width = static_cast<int>(widths[i]);
      absl::StrAppend(
          &text, i == 0 ? "" : "  ",
          i < 2 ? absl::StrFormat("%-*s", width, row[i]) : absl::StrFormat("%*s", width, row[i]));
    }
    text += '\n';
  }
  return text;
}

}  // namespace

std::string StatsText(const DataPlaneStats& stats) {
  std::string text = absl::StrCat(
      "clients ", stats.connections_active, " connected, ", stats.connections_accepted_total,
      " accepted   tls ", stats.tls_handshakes_total, " handshakes, ", stats.tls_resumed_total,
      " resumed, ", stats.tls_failures_total, " failed\nrefused ", stats.bad_requests_total,
      " bad requests, ", stats.unrouted_total, " without a route\n\n");
  std::vector<Row> rows = {{"APP", "INSTANCE", "2xx", "3xx", "4xx", "5xx", "RETRIED", "QUEUED",
                            "SENT", "RECEIVED", "FIRST-P50", "P99", "TOTAL-P50", "P99"}};
  for (const ClusterStats& app : stats.clusters) {
    rows.push_back(OfApp(app));
    for (const InstanceStats& instance : app.instances) rows.push_back(OfInstance(instance));
  }
  text += Format(rows);
  text +=
      "\nTimes in ms, each the upper bound of its bucket. RETRIED: of an instance, its failed "
      "attempts. More: /stats\n";
  return text;
}

}  // namespace pando::proxy
