#include "common/runtime/metrics.h"

#include <prometheus/metric_family.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <unistd.h>

#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>

#include "common/runtime/metric_definition.h"
#include "common/runtime/version.h"

namespace pando {
namespace {

using prometheus::MetricType;

const MetricDefinition kBuildInfo{"pando_build_info",
                                  MetricType::Gauge,
                                  "Always 1; the labels say what runs",
                                  {"program", "version"}};
const MetricDefinition kDataDirSize{"pando_data_dir_size_bytes",
                                    MetricType::Gauge,
                                    "Size of the file system of the data directory",
                                    {}};
const MetricDefinition kDataDirFree{"pando_data_dir_available_bytes",
                                    MetricType::Gauge,
                                    "Room left on the file system of the data directory",
                                    {}};
const MetricDefinition kCpu{
    "process_cpu_seconds_total", MetricType::Counter, "User and system CPU time spent", {}};
const MetricDefinition kMemory{
    "process_resident_memory_bytes", MetricType::Gauge, "Resident memory size", {}};
const MetricDefinition kFds{"process_open_fds", MetricType::Gauge, "Open file descriptors", {}};
const MetricDefinition kMaxFds{
    "process_max_fds", MetricType::Gauge, "Limit of open file descriptors", {}};
const MetricDefinition kStartTime{"process_start_time_seconds",
                                  MetricType::Gauge,
                                  "Start of the process since the Unix epoch",
                                  {}};

double ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  double total_pages = 0;
  double resident_pages = 0;
  statm >> total_pages >> resident_pages;
  return resident_pages * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double OpenFds() {
  std::error_code error;
  const std::filesystem::directory_iterator fds("/proc/self/fd", error);
  if (error) return 0;
  // The directory itself is open while it is read.
  return static_cast<double>(std::distance(begin(fds), end(fds))) - 1;
}

double MaxFds() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<double>(limit.rlim_cur);
}

// Boot time plus the start in clock ticks since boot, field 22 of /proc/self/stat.
double StartTimeSeconds() {
  std::ifstream stat_file("/proc/self/stat");
  std::string stat((std::istreambuf_iterator<char>(stat_file)), {});
  // Field 2 is the program's name in parentheses and may hold spaces; field 3 follows the last ')'.
  std::istringstream after_name(stat.substr(stat.rfind(')') + 1));
  std::string skipped;
  for (int field = 3; field < 22; ++field) after_name >> skipped;
  double start_ticks = 0;
  after_name >> start_ticks;

  std::ifstream system_stat("/proc/stat");
  double boot_seconds = 0;
  for (std::string key; system_stat >> key;) {
    if (key == "btime") {
      system_stat >> boot_seconds;
      break;
    }
    std::getline(system_stat, skipped);
  }
  return boot_seconds + start_ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// ---- the text format ----

using Labels = std::vector<prometheus::ClientMetric::Label>;

void AppendNumber(double value, std::string& out) {
  if (std::isnan(value)) {
    out += "Nan";
  } else if (std::isinf(value)) {
    out += value < 0 ? "-Inf" : "+Inf";
  } else {
    char digits[32];
    const bool whole = std::abs(value) < 1e15 && value == std::trunc(value);
    const auto end =
        whole ? std::to_chars(digits, digits + sizeof(digits), static_cast<int64_t>(value))
              : std::to_chars(digits, digits + sizeof(digits), value);
    out.append(digits, end.ptr);
  }
}

void AppendEscaped(std::string_view text, bool quote, std::string& out) {
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quote) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

// `suffix` is "_sum", "_bucket", ...; `extra` is one more label.
void AppendSample(std::string_view name, std::string_view suffix, const Labels& labels,
                  std::string_view extra, double extra_value, double value, std::string& out) {
  out.append(name).append(suffix);
  char before = '{';
  for (const auto& label : labels) {
    out += std::exchange(before, ',');
    out.append(label.name).append("=\"");
    AppendEscaped(label.value, true, out);
    out += '"';
  }
  if (!extra.empty()) {
    out += std::exchange(before, ',');
    out.append(extra).append("=\"");
    AppendNumber(extra_value, out);
    out += '"';
  }
  if (before == ',') out += '}';
  out += ' ';
  AppendNumber(value, out);
  out += '\n';
}

void AppendMetric(const prometheus::MetricFamily& family, const prometheus::ClientMetric& metric,
                  std::string& out) {
  const auto sample = [&](std::string_view suffix, double value, std::string_view extra = {},
                          double extra_value = 0) {
    AppendSample(family.name, suffix, metric.label, extra, extra_value, value, out);
  };
  switch (family.type) {
    case prometheus::MetricType::Counter:
      return sample("", metric.counter.value);
    case prometheus::MetricType::Gauge:
      return sample("", metric.gauge.value);
    case prometheus::MetricType::Summary:
      for (const auto& quantile : metric.summary.quantile) {
        sample("", quantile.value, "quantile", quantile.quantile);
      }
      sample("_sum", metric.summary.sample_sum);
      return sample("_count", static_cast<double>(metric.summary.sample_count));
    case prometheus::MetricType::Histogram: {
      bool has_all = false;
      for (const auto& bucket : metric.histogram.bucket) {
        has_all = std::isinf(bucket.upper_bound);
        sample("_bucket", static_cast<double>(bucket.cumulative_count), "le", bucket.upper_bound);
      }
      const auto count = static_cast<double>(metric.histogram.sample_count);
      if (!has_all) sample("_bucket", count, "le", HUGE_VAL);
      sample("_sum", metric.histogram.sample_sum);
      return sample("_count", count);
    }
    default:
      return sample("", metric.untyped.value);
  }
}

constexpr std::string_view TypeName(prometheus::MetricType type) {
  switch (type) {
    case prometheus::MetricType::Counter:
      return "counter";
    case prometheus::MetricType::Gauge:
      return "gauge";
    case prometheus::MetricType::Summary:
      return "summary";
    case prometheus::MetricType::Histogram:
      return "histogram";
    default:
      return "untyped";
  }
}

}  // namespace

std::string SerializeMetrics(const std::vector<prometheus::MetricFamily>& families) {
  std::string out;
  for (const prometheus::MetricFamily& family : families) {
    out.append("# HELP ").append(family.name).append(" ");
    AppendEscaped(family.help, false, out);
    out.append("\n# TYPE ").append(family.name).append(" ").append(TypeName(family.type));
    out += '\n';
    for (const auto& metric : family.metric) AppendMetric(family, metric, out);
  }
  return out;
}

std::vector<MetricDefinition> CommonMetrics() {
  return {kBuildInfo, kDataDirSize, kDataDirFree, kCpu, kMemory, kFds, kMaxFds, kStartTime};
}

Metrics::Metrics(const std::string& program, std::string data_dir)
    : data_dir_(std::move(data_dir)), registry_(std::make_shared<prometheus::Registry>()) {
  AddGaugeFamily(*this, kBuildInfo)
      .Add({{"program", program}, {"version", std::string(Version())}})
      .Set(1);
}

void Metrics::AddCollectable(std::weak_ptr<prometheus::Collectable> collectable) {
  const absl::MutexLock lock(&mutex_);
  collectables_.push_back(std::move(collectable));
}

std::string Metrics::Serialize() const {
  std::vector<prometheus::MetricFamily> families = registry_->Collect();
  std::vector<std::weak_ptr<prometheus::Collectable>> collectables;
  {
    const absl::MutexLock lock(&mutex_);
    collectables = collectables_;
  }
  for (const auto& weak : collectables) {
    const auto collectable = weak.lock();
    if (collectable == nullptr) continue;
    std::vector<prometheus::MetricFamily> more = collectable->Collect();
    families.insert(families.end(), std::make_move_iterator(more.begin()),
                    std::make_move_iterator(more.end()));
  }
  const auto add = [&families](const MetricDefinition& definition, double value) {
    MetricSamples samples(definition);
    samples.Add(value);
    families.push_back(samples.Take());
  };
  struct statvfs disk = {};
  if (!data_dir_.empty() && statvfs(data_dir_.c_str(), &disk) == 0) {
    const auto block = static_cast<double>(disk.f_frsize);
    add(kDataDirSize, block * static_cast<double>(disk.f_blocks));
    add(kDataDirFree, block * static_cast<double>(disk.f_bavail));
  }
  add(kCpu, CpuSeconds());
  add(kMemory, ResidentBytes());
  add(kFds, OpenFds());
  add(kMaxFds, MaxFds());
  add(kStartTime, StartTimeSeconds());
  return SerializeMetrics(families);
}

}  // namespace pando
