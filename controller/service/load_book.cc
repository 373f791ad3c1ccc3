#include "controller/service/load_book.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace pando::controller {
namespace {

// What happened so long ago counts 1/e.
constexpr double kFadeSeconds = 5;
// Reports come once a second; until one is overdue nothing fades, or figures would saw up and down.
constexpr double kGraceSeconds = 1.5;
// Silence after which a figure is no longer one of the present.
constexpr Millis kForget{15'000};

double Seconds(Instant::duration elapsed) { return std::chrono::duration<double>(elapsed).count(); }

constexpr double kFirstBound = 0.0001;
constexpr double kRatio = 1.25;

uint8_t ClassOf(double seconds) {
  if (seconds <= kFirstBound) return 0;
  const double number = std::ceil(std::log(seconds / kFirstBound) / std::log(kRatio) - 1e-9);
  return static_cast<uint8_t>(std::min(number, static_cast<double>(RequestMeter::kClasses - 1)));
}

double BoundOf(size_t number) {
  return kFirstBound * std::pow(kRatio, static_cast<double>(number));
}

using Classes = std::array<double, RequestMeter::kClasses>;

std::optional<double> Quantile(const Classes& classes, double q) {
  double all = 0;
  for (const double count : classes) all += count;
  if (all <= 0) return std::nullopt;
  double below = 0;
  for (size_t i = 0; i < classes.size(); ++i) {
    below += classes[i];
    if (below >= q * all * (1 - 1e-9)) return BoundOf(i);
  }
  return BoundOf(classes.size() - 1);
}

}  // namespace

void RequestMeter::Add(const RequestReport& report, Instant now) {
  if (!any_) {
    any_ = true;
    first_ = now - report.interval;
    last_ = now;
  }
  const double left = std::exp(-std::max(0.0, Seconds(now - last_)) / kFadeSeconds);
  last_ = now;
  // What happened evenly over the interval has faded by this much on average by its end.
  const double interval = std::max(0.001, Seconds(report.interval));
  const double fresh = kFadeSeconds / interval * (1 - std::exp(-interval / kFadeSeconds));
  requests_ = requests_ * left + fresh * static_cast<double>(report.requests);
  errors_ = errors_ * left + fresh * static_cast<double>(report.errors);
  for (auto& [number, count] : latency_) count *= static_cast<float>(left);
  for (const auto& [bound, count] : report.latency) {
    const uint8_t number = ClassOf(bound);
    const auto at =
        std::lower_bound(latency_.begin(), latency_.end(), number,
                         [](const auto& entry, uint8_t wanted) { return entry.first < wanted; });
    const auto added = static_cast<float>(fresh * static_cast<double>(count));
    if (at != latency_.end() && at->first == number) {
      at->second += added;
    } else if (count > 0) {
      latency_.insert(at, {number, added});
    }
  }
  // A thousandth of a request tells nothing of latency.
  std::erase_if(latency_, [](const auto& entry) { return entry.second < 0.001F; });
}

double RequestMeter::Left(Instant now) const {
  return std::exp(-std::max(0.0, Seconds(now - last_) - kGraceSeconds) / kFadeSeconds);
}

RequestRates RequestMeter::Rates(Instant now) const { return Sum({this}, now); }

RequestRates RequestMeter::Sum(const std::vector<const RequestMeter*>& meters, Instant now) {
  RequestRates rates;
  Classes classes{};
  for (const RequestMeter* const meter : meters) {
    if (!meter->any_) continue;
    const double left = meter->Left(now);
    // Of a meter that is young, less has come together than of an old one at the same rate.
    const double age = std::max(0.001, Seconds(meter->last_ - meter->first_));
    const double seconds = kFadeSeconds * (1 - std::exp(-age / kFadeSeconds));
    rates.requests_per_second += meter->requests_ * left / seconds;
    rates.errors_per_second += meter->errors_ * left / seconds;
    for (const auto& [number, count] : meter->latency_) {
      classes[number] += left * static_cast<double>(count);
    }
  }
  // Less than that is the rest of something long over.
  if (rates.requests_per_second < 0.005) rates.requests_per_second = 0;
  if (rates.errors_per_second < 0.005) rates.errors_per_second = 0;
  if (rates.requests_per_second > 0) {
    rates.p50_seconds = Quantile(classes, 0.50);
    rates.p99_seconds = Quantile(classes, 0.99);
  }
  return rates;
}

bool RequestMeter::faded(Instant now) const { return Seconds(now - last_) > 12 * kFadeSeconds; }

void LoadBook::NodeSaid(const NodeId& node, const v1::Heartbeat& heartbeat, Instant now) {
  const double at = heartbeat.sampled_at_seconds();
  for (const v1::InstanceUsage& said : heartbeat.usage()) {
    Usage& usage = usage_[{said.assignment_id()}];
    usage.heard = now;
    // The same sample may come twice: the agent's two clocks run apart.
    if (usage.at_seconds > 0 && at <= usage.at_seconds && at > 0) continue;
    if (usage.at_seconds > 0 && usage.last.incarnation() == said.incarnation()) {
      usage.cpu_cores =
          std::max(0.0, said.cpu_seconds() - usage.last.cpu_seconds()) / (at - usage.at_seconds);
    } else {
      usage.cpu_cores.reset();
    }
    usage.last = said;
    usage.at_seconds = at;
  }
  if (!heartbeat.has_node()) return;
  Host& host = hosts_[node];
  host.heard = now;
  if (at > 0 && at == host.at_seconds) return;
  if (host.at_seconds > 0 && at > host.at_seconds) {
    host.cpu_cores = std::max(0.0, heartbeat.node().cpu_seconds() - host.last.cpu_seconds()) /
                     (at - host.at_seconds);
  } else {
    host.cpu_cores.reset();  // the agent's host was started anew
  }
  host.last = heartbeat.node();
  host.at_seconds = at;
}

void LoadBook::ProxySaidOfApp(const ProxyId& proxy, const AppId& app, const RequestReport& report,
                              uint64_t queued, Instant now) {
  AppBook& book = apps_[app];
  book.heard = now;
  book.meter.Add(report, now);
  book.queued[proxy] = {queued, now};
}

void LoadBook::ProxySaidOfInstance(const AssignmentId& assignment, const RequestReport& report,
                                   Instant now) {
  requests_[assignment].Add(report, now);
}

void LoadBook::Tick(Instant now) {
  for (auto& [app, book] : apps_) {
    const RequestRates rates = book.meter.Rates(now);
    book.history.push_back({static_cast<float>(rates.requests_per_second),
                            static_cast<float>(rates.errors_per_second),
                            static_cast<float>(rates.p99_seconds.value_or(0))});
    if (book.history.size() > kHistoryPoints) book.history.pop_front();
    std::erase_if(book.queued, [&](const auto& q) { return now - q.second.heard > kForget; });
  }
  const Millis past = kHistoryStep * static_cast<int64_t>(kHistoryPoints);
  std::erase_if(apps_, [&](const auto& entry) { return now - entry.second.heard > past; });
  std::erase_if(requests_, [&](const auto& entry) { return entry.second.faded(now); });
  std::erase_if(usage_, [&](const auto& entry) { return now - entry.second.heard > kForget; });
  std::erase_if(hosts_, [&](const auto& entry) { return now - entry.second.heard > past; });
}

RequestRates LoadBook::RequestsOf(const AssignmentId& assignment, Instant now) const {
  const auto found = requests_.find(assignment);
  return found == requests_.end() ? RequestRates{} : found->second.Rates(now);
}

RequestRates LoadBook::RequestsOf(std::span<const AssignmentId> instances, Instant now) const {
  std::vector<const RequestMeter*> meters;
  for (const AssignmentId& id : instances) {
    const auto found = requests_.find(id);
    if (found != requests_.end()) meters.push_back(&found->second);
  }
  return RequestMeter::Sum(meters, now);
}

RequestRates LoadBook::RequestsOf(const AppId& app, std::span<const AssignmentId> instances,
                                  Instant now) const {
  RequestRates rates = RequestsOf(instances, now);
  const auto found = apps_.find(app);
  if (found == apps_.end()) return rates;
  const RequestRates all = found->second.meter.Rates(now);
  rates.requests_per_second = all.requests_per_second;
  rates.errors_per_second = all.errors_per_second;
  if (all.p99_seconds) rates.p50_seconds = all.p50_seconds, rates.p99_seconds = all.p99_seconds;
  return rates;
}

uint64_t LoadBook::QueuedOf(const AppId& app, Instant now) const {
  const auto found = apps_.find(app);
  if (found == apps_.end()) return 0;
  uint64_t queued = 0;
  for (const auto& [proxy, said] : found->second.queued) {
    if (now - said.heard <= kForget) queued += said.requests;
  }
  return queued;
}

ProcessRates LoadBook::UsageOf(const AssignmentId& assignment, Instant now) const {
  const auto found = usage_.find(assignment);
  if (found == usage_.end() || now - found->second.heard > kForget) return {};
  const Usage& usage = found->second;
  ProcessRates rates;
  rates.cpu_cores = usage.cpu_cores;
  rates.memory_bytes = usage.last.memory_bytes();
  rates.open_fds = usage.last.open_fds();
  rates.processes = usage.last.processes();
  if (usage.last.has_event_loop_delay_mean_seconds()) {
    rates.event_loop_delay_mean_seconds = usage.last.event_loop_delay_mean_seconds();
  }
  if (usage.last.has_event_loop_delay_p99_seconds()) {
    rates.event_loop_delay_p99_seconds = usage.last.event_loop_delay_p99_seconds();
  }
  return rates;
}

HostRates LoadBook::HostOf(const NodeId& node, Instant now) const {
  const auto found = hosts_.find(node);
  if (found == hosts_.end()) return {};
  const bool fresh = now - found->second.heard <= kForget;
  return {fresh ? found->second.cpu_cores : std::nullopt, found->second.last};
}

std::vector<LoadBook::Point> LoadBook::HistoryOf(const AppId& app) const {
  const auto found = apps_.find(app);
  if (found == apps_.end()) return {};
  return {found->second.history.begin(), found->second.history.end()};
}

}  // namespace pando::controller
