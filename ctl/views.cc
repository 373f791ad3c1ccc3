#include "ctl/views.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "ctl/format.h"
#include "ctl/json.h"

namespace pando::ctl {

namespace {

std::string Share(uint32_t part, uint32_t whole) { return absl::StrCat(part, "/", whole); }

Color ShareColor(uint32_t part, uint32_t whole) {
  return part >= whole ? Color::kGreen : Color::kYellow;
}

std::string RouteText(const v1::AppView& app) {
  return absl::StrCat(absl::StrJoin(app.hosts(), ","), " ", app.path());
}

// One or two words for where an app stands, and why if it is not where it should be.
struct AppState {
  Cell word;
  std::string why;
};

AppState StateOf(const v1::AppView& app) {
  if (app.rollout() == v1::AppView::FAILED) return {{"failed", Color::kRed}, app.failure()};
  if (app.rollout() == v1::AppView::ROLLED_BACK) {
    return {{"rolled back", Color::kRed},
            absl::StrCat("r", app.rolled_back(), ": ", app.failure())};
  }
  if (app.rollout() == v1::AppView::PAUSED) return {{"paused", Color::kYellow}, ""};
  if (app.waits_for_promote()) {
    return {
        {"waiting", Color::kYellow},
        absl::StrCat("step ", app.step(), "/", app.steps(), "; ctl rollout promote ", app.name())};
  }
  if (app.stopped()) {
    return {{app.settled() ? "stopped" : "stopping", Color::kDim}, ""};
  }
  if (!app.pending_reason().empty()) {
    return {{"pending", Color::kYellow}, app.pending_reason()};
  }
  if (!app.settled()) {
    return {{"rolling", Color::kYellow},
            app.outdated() > 0 ? absl::StrCat(app.outdated(), " of older revisions") : ""};
  }
  if (app.draining() > 0) {
    return {{"running", Color::kGreen}, absl::StrCat(app.draining(), " draining")};
  }
  return {{"running", Color::kGreen}, ""};
}

std::string AppsText(const v1::ClusterView& view, ViewStyle style) {
  if (view.apps().empty()) return "no app yet; deploy one with: ctl apply -f app.yaml\n";
  std::vector<std::string> header = {"APP",         "REV",   "REPLICAS", "READY",
                                     "IN ROTATION", "STATE", "ROUTE"};
  if (style.wide) header.insert(header.end(), {"PROXIES ACKED", "DRAINING", "GENERATION"});
  header.push_back("DETAIL");
  Table table(header);
  for (const v1::AppView& app : view.apps()) {
    const uint32_t wanted = app.stopped() ? 0 : app.replicas();
    AppState state = StateOf(app);
    std::vector<Cell> row = {
        {app.name(), Color::kBold},
        absl::StrCat("r", app.revision()),
        absl::StrCat(app.replicas()),
        {Share(app.ready(), wanted), ShareColor(app.ready(), wanted)},
        {Share(app.available(), wanted), ShareColor(app.available(), wanted)},
        state.word,
        RouteText(app),
    };
    if (style.wide) {
      row.push_back({Share(app.proxies_acked(), app.proxies_live()),
                     ShareColor(app.proxies_acked(), app.proxies_live())});
      row.emplace_back(absl::StrCat(app.draining()));
      row.emplace_back(absl::StrCat(app.generation()));
    }
    row.emplace_back(state.why);
    table.Add(std::move(row));
  }
  return table.ToString(style.color);
}

std::string ClusterLine(const v1::ClusterView& view, ViewStyle style) {
  std::string out;
  if (view.frozen()) {
    absl::StrAppend(
        &out,
        Paint(absl::StrCat("FROZEN: ",
                           view.frozen_reason().empty() ? "too many nodes fell silent at once"
                                                        : view.frozen_reason(),
                           ". Tables stay as they are and nothing is replaced until "
                           "they return, or proxies confirm that they are gone."),
              Color::kRed, style.color),
        "\n        See `ctl nodes`; if they are really gone: `ctl unfreeze`\n");
  }
  if (view.recovering()) {
    absl::StrAppend(&out,
                    Paint("RECOVERING: the controller has just started and waits for its agents "
                          "to report.",
                          Color::kYellow, style.color),
                    "\n");
  }
  const auto ready = std::count_if(view.nodes().begin(), view.nodes().end(),
                                   [](const auto& node) { return node.state() == "ready"; });
  const auto synced = std::count_if(view.proxies().begin(), view.proxies().end(),
                                    [](const auto& proxy) { return proxy.state() == "synced"; });
  absl::StrAppend(&out, "nodes ", ready, "/", view.nodes_size(), " ready   proxies ", synced, "/",
                  view.proxies_size(), " synced");
  for (const v1::GatewayView& gateway : view.gateways()) {
    const bool bracket = gateway.address().find(':') != std::string::npos;
    absl::StrAppend(&out, "   gateway ", gateway.name(), " ", bracket ? "[" : "", gateway.address(),
                    bracket ? "]" : "", ":", gateway.port(), gateway.tls() ? " (https)" : "");
  }
  absl::StrAppend(&out, "\n\n");
  return out;
}

Color InstanceColor(const std::string& state) {
  if (state == "in-rotation") return Color::kGreen;
  if (state == "failed" || state == "lost" || state == "unhealthy" || state == "backoff" ||
      state == "crash-loop") {
    return Color::kRed;
  }
  if (state == "draining" || state == "stopping") return Color::kDim;
  return Color::kYellow;
}

std::string InstancesText(const v1::ClusterView& view, ViewStyle style) {
  if (view.instances().empty()) return "no instances\n";
  std::vector<std::string> header = {"INSTANCE", "NODE",     "REV", "STATE",
                                     "ADDRESS",  "RESTARTS", "AGE"};
  if (style.wide) header.insert(header.end(), {"PID", "IN FLIGHT", "ASSIGNMENT"});
  header.push_back("DETAIL");
  Table table(header);
  for (const v1::InstanceView& instance : view.instances()) {
    const int64_t started = instance.started_unix_ms();
    std::vector<Cell> row = {
        {instance.name(), Color::kBold},
        instance.node(),
        absl::StrCat("r", instance.revision()),
        {instance.state(), InstanceColor(instance.state())},
        instance.address(),
        absl::StrCat(instance.restarts()),
        // Clocks of two hosts: a start "in the future" has just happened.
        started == 0 ? "-" : FormatAge(std::max<int64_t>(0, view.now_unix_ms() - started)),
    };
    if (style.wide) {
      row.emplace_back(instance.pid() == 0 ? "" : absl::StrCat(instance.pid()));
      row.emplace_back(absl::StrCat(instance.in_flight()));
      row.emplace_back(instance.assignment_id());
    }
    row.emplace_back(instance.detail());
    table.Add(std::move(row));
  }
  return table.ToString(style.color);
}

std::string LabelsText(const v1::NodeView& node) {
  std::vector<std::string> labels;
  for (const auto& [key, value] : node.labels()) labels.push_back(absl::StrCat(key, "=", value));
  std::sort(labels.begin(), labels.end());
  return absl::StrJoin(labels, ",");
}

std::string NodesText(const v1::ClusterView& view, ViewStyle style) {
  if (view.nodes().empty()) return "no nodes; start a pando-agent on an app host\n";
  std::vector<std::string> header = {"NODE", "STATE",  "ADDRESS",  "INSTANCES",
                                     "CPU",  "MEMORY", "HEARTBEAT"};
  if (style.wide) header.push_back("VERSION");
  header.push_back("LABELS");
  Table table(header);
  for (const v1::NodeView& node : view.nodes()) {
    const bool ready = node.state() == "ready";
    std::vector<Cell> row = {
        {node.name(), Color::kBold},
        {absl::StrCat(node.state(), node.draining()   ? ",draining"
                                    : node.cordoned() ? ",cordoned"
                                                      : ""),
         ready && !node.cordoned() ? Color::kGreen
                                   : (node.state() == "lost" ? Color::kRed : Color::kYellow)},
        node.address(),
        Share(node.instances(), node.max_instances()),
        absl::StrCat(FormatCpus(node.cpu_millis_used()), "/", FormatCpus(node.cpu_millis())),
        absl::StrCat(FormatBytes(node.memory_bytes_used()), "/", FormatBytes(node.memory_bytes())),
        FormatShortAge(node.heartbeat_age_ms()),
    };
    if (style.wide) row.emplace_back(node.version());
    row.emplace_back(LabelsText(node));
    table.Add(std::move(row));
  }
  return table.ToString(style.color);
}

std::string ProxiesText(const v1::ClusterView& view, ViewStyle style) {
  if (view.proxies().empty()) return "no proxies; start a pando-proxy on an edge host\n";
  Table table({"PROXY", "STATE", "TABLES ACKED", "LAST ACK", "IN FLIGHT", "VERSION", "REFUSED"});
  for (const v1::ProxyView& proxy : view.proxies()) {
    const Color color = !proxy.nack().empty() || proxy.state() == "disconnected" ? Color::kRed
                        : proxy.state() == "synced"                              ? Color::kGreen
                                                                                 : Color::kYellow;
    table.Add({{proxy.id(), Color::kBold},
               {proxy.state(), color},
               Share(proxy.apps_acked(), proxy.apps_total()),
               FormatShortAge(proxy.last_ack_age_ms()),
               absl::StrCat(proxy.in_flight()),
               proxy.version(),
               {proxy.nack(), Color::kRed}});
  }
  return table.ToString(style.color);
}

template <class Items, class NameOf>
std::string Names(const Items& items, NameOf name_of) {
  std::string out;
  for (const auto& item : items) absl::StrAppend(&out, name_of(item), "\n");
  return out;
}

}  // namespace

std::string ScreenText(Screen screen, const v1::ClusterView& view, ViewStyle style) {
  switch (screen) {
    case Screen::kStatus:
      return ClusterLine(view, style) + AppsText(view, style);
    case Screen::kInstances:
      return InstancesText(view, style);
    case Screen::kNodes:
      return NodesText(view, style);
    case Screen::kProxies:
      return ProxiesText(view, style);
  }
  return "";
}

std::string ScreenJson(Screen screen, const v1::ClusterView& view) {
  switch (screen) {
    case Screen::kStatus: {
      JsonObject cluster;
      cluster.Bool("frozen", view.frozen())
          .Bool("recovering", view.recovering())
          .Number("term", view.term())
          .Number("nodes", static_cast<uint64_t>(view.nodes_size()))
          .Number("proxies", static_cast<uint64_t>(view.proxies_size()));
      return JsonObject()
          .Raw("cluster", cluster.Str())
          .Raw("apps", ToJsonArray(view.apps()))
          .Raw("gateways", ToJsonArray(view.gateways()))
          .Str();
    }
    case Screen::kInstances:
      return JsonObject().Raw("instances", ToJsonArray(view.instances())).Str();
    case Screen::kNodes:
      return JsonObject().Raw("nodes", ToJsonArray(view.nodes())).Str();
    case Screen::kProxies:
      return JsonObject().Raw("proxies", ToJsonArray(view.proxies())).Str();
  }
  return "{}";
}

std::string ScreenNames(Screen screen, const v1::ClusterView& view) {
  switch (screen) {
    case Screen::kStatus:
      return Names(view.apps(), [](const auto& app) { return app.name(); });
    case Screen::kInstances:
      return Names(view.instances(), [](const auto& instance) { return instance.name(); });
    case Screen::kNodes:
      return Names(view.nodes(), [](const auto& node) { return node.name(); });
    case Screen::kProxies:
      return Names(view.proxies(), [](const auto& proxy) { return proxy.id(); });
  }
  return "";
}

}  // namespace pando::ctl
