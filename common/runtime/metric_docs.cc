#include "common/runtime/metric_docs.h"

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/runtime/data_dir.h"

namespace pando {
namespace {

constexpr char kEnd[] = "<!-- end -->";

const char* TypeName(prometheus::MetricType type) {
  switch (type) {
    case prometheus::MetricType::Counter:
      return "counter";
    case prometheus::MetricType::Gauge:
      return "gauge";
    case prometheus::MetricType::Histogram:
      return "histogram";
    case prometheus::MetricType::Summary:
      return "summary";
    default:
      return "untyped";
  }
}

std::string Labels(const prometheus::MetricFamily& family) {
  if (family.metric.empty() || family.metric.front().label.empty()) return "";
  std::vector<std::string> names;
  for (const auto& label : family.metric.front().label) names.push_back(label.name);
  return absl::StrCat("{", absl::StrJoin(names, ","), "}");
}

}  // namespace

std::string DescribeMetrics(const std::vector<prometheus::MetricFamily>& families) {
  std::string text = "| metric | type | meaning |\n|---|---|---|\n";
  for (const prometheus::MetricFamily& family : families) {
    absl::StrAppend(&text, "| `", family.name, Labels(family), "` | ", TypeName(family.type), " | ",
                    family.help, " |\n");
  }
  return text;
}

absl::Status CheckMetricDocs(const std::string& file, const std::string& program,
                             const std::string& text, bool write) {
  PANDO_ASSIGN_OR_RETURN(std::string content, ReadFile(file));
  const std::string start = absl::StrCat("<!-- metrics: ", program, " -->\n");
  const size_t from = content.find(start);
  const size_t to = from == std::string::npos ? from : content.find(kEnd, from);
  if (to == std::string::npos) {
    return absl::NotFoundError(
        absl::StrCat(file, ": there is no \"", start, "\" ... \"", kEnd, "\""));
  }
  const size_t begin = from + start.size();
  if (content.substr(begin, to - begin) == text) return absl::OkStatus();
  if (!write) {
    return absl::FailedPreconditionError(
        absl::StrCat(file, ": the metrics of ", program, " are not those of the code, which are\n",
                     text, "(PANDO_WRITE_DOCS=1 puts them there)"));
  }
  content.replace(begin, to - begin, text);
  return WriteFileAtomically(file, content);
}

}  // namespace pando
