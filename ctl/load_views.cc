#include "ctl/load_views.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ctl/format.h"
#include "ctl/json.h"

namespace pando::ctl {
namespace {

// Below this p99 a trend is drawn flat: fractions of a millisecond are no mountains.
constexpr double kCalmP99Seconds = 0.010;
constexpr double kCalmRate = 1;

template <class Message>
std::string Cpu(const Message& usage) {
  return usage.has_cpu_cores() ? FormatRate(usage.cpu_cores()) : "";
}

std::string P50(const v1::RequestLoad& load) {
  return load.has_p50_seconds() ? FormatLatency(load.p50_seconds()) : "";
}
std::string P99(const v1::RequestLoad& load) {
  return load.has_p99_seconds() ? FormatLatency(load.p99_seconds()) : "";
}

// How long work waits for the app's event loop; it may not say.
std::string LoopP99(const v1::ProcessLoad& usage) {
  if (!usage.has_event_loop_delay_p99_seconds()) return "-";
  return FormatLatency(usage.event_loop_delay_p99_seconds());
}

Cell Errors(const v1::RequestLoad& load) {
  return {FormatRate(load.errors_per_second()),
          load.errors_per_second() > 0 ? Color::kRed : Color::kNone};
}

std::string Trend(const google::protobuf::RepeatedField<float>& values, double least_top) {
  return Sparkline({values.begin(), values.end()}, least_top);
}

double MemoryOf(const v1::NodeLoad& node) { return static_cast<double>(node.memory_used_bytes()); }
template <class Item>
double MemoryOf(const Item& item) {
  return static_cast<double>(item.usage().memory_bytes());
}
double CpuOf(const v1::NodeLoad& node) { return node.cpu_cores(); }
template <class Item>
double CpuOf(const Item& item) {
  return item.usage().cpu_cores();
}

template <class Item>
double KeyOf(const Item& item, TopSort sort) {
  const v1::RequestLoad& load = item.requests();
  switch (sort) {
    case TopSort::kName:
      return 0;
    case TopSort::kCpu:
      return CpuOf(item);
    case TopSort::kMemory:
      return MemoryOf(item);
    case TopSort::kRequests:
      return load.requests_per_second();
    case TopSort::kErrors:
      return load.errors_per_second();
    case TopSort::kP99:
      return load.p99_seconds();
    case TopSort::kInFlight:
      return static_cast<double>(load.in_flight() + load.queued());
  }
  return 0;
}

// The controller's order, which is by name, holds among equals.
template <class Items>
void Sort(Items& items, TopSort sort) {
  std::stable_sort(items.begin(), items.end(), [sort](const auto& a, const auto& b) {
    return KeyOf(a, sort) > KeyOf(b, sort);
  });
}

v1::LoadView Sorted(const v1::LoadView& view, TopSort sort) {
  v1::LoadView sorted = view;
  Sort(*sorted.mutable_apps(), sort);
  Sort(*sorted.mutable_instances(), sort);
  Sort(*sorted.mutable_nodes(), sort);
  return sorted;
}

Color FullColor(uint32_t part, uint32_t whole) {
  return part >= whole ? Color::kGreen : Color::kYellow;
}

std::string AppsText(const v1::LoadView& view, ViewStyle style) {
  if (view.apps().empty()) return "no app yet; deploy one with: ctl apply -f app.yaml\n";
  Table table({"APP", "INSTANCES", "CPU", "MEMORY", "REQ/S", "ERR/S", "P50", "P99", "IN FLIGHT",
               "QUEUE", "REQ/S TREND"});
  for (const v1::AppLoad& app : view.apps()) {
    const v1::RequestLoad& load = app.requests();
    table.Add({{app.app(), Color::kBold},
               {absl::StrCat(app.available(), "/", app.replicas()),
                FullColor(app.available(), app.replicas())},
               Cpu(app.usage()),
               FormatBytes(app.usage().memory_bytes()),
               FormatRate(load.requests_per_second()),
               Errors(load),
               P50(load),
               P99(load),
               absl::StrCat(load.in_flight()),
               absl::StrCat(load.queued()),
               Trend(app.requests_history(), kCalmRate)});
  }
  return table.ToString(style.color);
}

std::string InstancesText(const v1::LoadView& view, ViewStyle style) {
  if (view.instances().empty()) return "no instances\n";
  std::vector<std::string> header = {"INSTANCE", "NODE",  "REV", "STATE", "CPU",       "MEMORY",
                                     "REQ/S",    "ERR/S", "P50", "P99",   "IN FLIGHT", "RESTARTS"};
  const bool has_delay = std::any_of(view.instances().begin(), view.instances().end(),
                                     [](const v1::InstanceLoad& instance) {
                                       return instance.usage().has_event_loop_delay_p99_seconds();
                                     });
  if (has_delay || style.wide) header.emplace_back("LOOP P99");
  if (style.wide) header.insert(header.end(), {"PROCESSES", "OPEN FILES"});
  Table table(header);
  for (const v1::InstanceLoad& instance : view.instances()) {
    const v1::RequestLoad& load = instance.requests();
    std::vector<Cell> row = {
        {instance.name(), Color::kBold},
        instance.node(),
        absl::StrCat("r", instance.revision()),
        {instance.state(), instance.state() == "in-rotation" ? Color::kGreen : Color::kYellow},
        Cpu(instance.usage()),
        FormatBytes(instance.usage().memory_bytes()),
        FormatRate(load.requests_per_second()),
        Errors(load),
        P50(load),
        P99(load),
        absl::StrCat(load.in_flight()),
        {absl::StrCat(instance.restarts()),
         instance.restarts() > 0 ? Color::kYellow : Color::kNone}};
    if (has_delay || style.wide) row.emplace_back(LoopP99(instance.usage()));
    if (style.wide) {
      row.emplace_back(absl::StrCat(instance.usage().processes()));
      row.emplace_back(absl::StrCat(instance.usage().open_fds()));
    }
    table.Add(std::move(row));
  }
  return table.ToString(style.color);
}

std::string NodesText(const v1::LoadView& view, ViewStyle style) {
  if (view.nodes().empty()) return "no nodes; start a pando-agent on an app host\n";
  Table table({"NODE", "STATE", "INSTANCES", "CPU", "LOAD", "MEMORY", "DISK", "REQ/S", "ERR/S",
               "P99", "IN FLIGHT"});
  for (const v1::NodeLoad& node : view.nodes()) {
    const v1::RequestLoad& load = node.requests();
    table.Add(
        {{node.name(), Color::kBold},
         {node.state(), node.state() == "ready" ? Color::kGreen : Color::kRed},
         absl::StrCat(node.instances()),
         node.has_cpu_cores() ? absl::StrCat(Cpu(node), "/", node.cpus()) : "",
         FormatRate(node.load1()),
         absl::StrCat(FormatBytes(node.memory_used_bytes()), "/", FormatBytes(node.memory_bytes())),
         absl::StrCat(FormatBytes(node.disk_used_bytes()), "/", FormatBytes(node.disk_bytes())),
         FormatRate(load.requests_per_second()),
         Errors(load),
         P99(load),
         absl::StrCat(load.in_flight())});
  }
  return table.ToString(style.color);
}

}  // namespace

std::string TopText(TopScreen screen, TopSort sort, const v1::LoadView& view, ViewStyle style) {
  const v1::LoadView sorted = Sorted(view, sort);
  switch (screen) {
    case TopScreen::kApps:
      return AppsText(sorted, style);
    case TopScreen::kInstances:
      return InstancesText(sorted, style);
    case TopScreen::kNodes:
      return NodesText(sorted, style);
  }
  return "";
}

std::string TopJson(TopScreen screen, TopSort sort, const v1::LoadView& view) {
  const v1::LoadView sorted = Sorted(view, sort);
  switch (screen) {
    case TopScreen::kApps:
      return JsonObject().Raw("apps", ToJsonArray(sorted.apps())).Str();
    case TopScreen::kInstances:
      return JsonObject().Raw("instances", ToJsonArray(sorted.instances())).Str();
    case TopScreen::kNodes:
      return JsonObject().Raw("nodes", ToJsonArray(sorted.nodes())).Str();
  }
  return "{}";
}

std::string LoadText(const v1::LoadView& view, ViewStyle style) {
  if (view.apps().empty()) return "";
  Table table({"LOAD", "REQ/S", "", "ERR/S", "", "P99", "", "CPU", "MEMORY"});
  for (const v1::AppLoad& app : view.apps()) {
    const v1::RequestLoad& load = app.requests();
    table.Add({{app.app(), Color::kBold},
               FormatRate(load.requests_per_second()),
               Trend(app.requests_history(), kCalmRate),
               Errors(load),
               Trend(app.errors_history(), kCalmRate),
               P99(load),
               Trend(app.p99_history(), kCalmP99Seconds),
               Cpu(app.usage()),
               FormatBytes(app.usage().memory_bytes())});
  }
  const int minutes = view.apps(0).requests_history_size() *
                      static_cast<int>(view.apps(0).history_step_seconds()) / 60;
  const std::string note = minutes > 0
                               ? Paint(absl::StrCat("the last ", minutes, " min, left to right\n"),
                                       Color::kDim, style.color)
                               : "";
  return absl::StrCat("\n", table.ToString(style.color), note);
}

}  // namespace pando::ctl
