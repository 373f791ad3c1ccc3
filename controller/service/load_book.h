// What proxies and agents last said of load, for people (ctl top, /metrics): nothing is decided by
// it. Pure; used on the loop.
//
// Rates fade exponentially over some seconds rather than being counted in windows: an instance
// costs a hundred bytes however it is looked at, and old traffic never drops off a cliff.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/time.h"
#include "pando/v1/agent.pb.h"

namespace pando::controller {

namespace v1 = ::pando::v1;

// Of one report: what happened since the last one.
struct RequestReport {
  uint64_t requests = 0;
  uint64_t errors = 0;
  // Requests by latency class: upper bound in seconds (infinite: the last one) and how many.
  std::vector<std::pair<double, uint64_t>> latency;
  Millis interval{1'000};  // over which it happened
};

struct RequestRates {
  double requests_per_second = 0;
  double errors_per_second = 0;
  std::optional<double> p50_seconds;
  std::optional<double> p99_seconds;
};

// The present rates of a stream of reports from any number of reporters.
class RequestMeter {
 public:
  // Classes of latency, each a quarter wider than the one before: 0.1 ms to 100 s.
  static constexpr size_t kClasses = 64;

  void Add(const RequestReport& report, Instant now);
  RequestRates Rates(Instant now) const;
  // Adds up the meters' present state (for p99 over instances).
  static RequestRates Sum(const std::vector<const RequestMeter*>& meters, Instant now);
  // Nothing was reported for so long that nothing is left.
  bool faded(Instant now) const;

 private:
  // How much is left of what was known at last_.
  double Left(Instant now) const;

  double requests_ = 0;
  double errors_ = 0;
  std::vector<std::pair<uint8_t, float>> latency_;  // by class, sparse, sorted
  Instant first_{};
  Instant last_{};
  bool any_ = false;
};

struct ProcessRates {
  std::optional<double> cpu_cores;
  uint64_t memory_bytes = 0;
  uint32_t open_fds = 0;
  uint32_t processes = 0;
  std::optional<double> event_loop_delay_mean_seconds;
  std::optional<double> event_loop_delay_p99_seconds;
};

struct HostRates {
  std::optional<double> cpu_cores;
  v1::NodeUsage usage;
};

class LoadBook {
 public:
  // One value of an app's past.
  struct Point {
    float requests_per_second = 0;
    float errors_per_second = 0;
    float p99_seconds = 0;
  };
  static constexpr Millis kHistoryStep{5'000};
  static constexpr size_t kHistoryPoints = 60;

  void NodeSaid(const NodeId& node, const v1::Heartbeat& heartbeat, Instant now);
  void ProxySaidOfApp(const ProxyId& proxy, const AppId& app, const RequestReport& report,
                      uint64_t queued, Instant now);
  void ProxySaidOfInstance(const AssignmentId& assignment, const RequestReport& report,
                           Instant now);

  // Every kHistoryStep: adds a point to each app's past, drops what nobody spoke of for a while.
  void Tick(Instant now);

  RequestRates RequestsOf(const AssignmentId& assignment, Instant now) const;
  // Of all requests of the app, those that no instance answered too; latency as the instances'.
  RequestRates RequestsOf(const AppId& app, std::span<const AssignmentId> instances,
                          Instant now) const;
  RequestRates RequestsOf(std::span<const AssignmentId> instances, Instant now) const;
  uint64_t QueuedOf(const AppId& app, Instant now) const;
  ProcessRates UsageOf(const AssignmentId& assignment, Instant now) const;
  HostRates HostOf(const NodeId& node, Instant now) const;
  std::vector<Point> HistoryOf(const AppId& app) const;

 private:
  struct Usage {
    v1::InstanceUsage last;
    double at_seconds = 0;  // on the agent's clock
    std::optional<double> cpu_cores;
    Instant heard;
  };
  struct Host {
    v1::NodeUsage last;
    double at_seconds = 0;
    std::optional<double> cpu_cores;
    Instant heard;
  };
  struct Queued {
    uint64_t requests = 0;
    Instant heard;
  };
  struct AppBook {
    RequestMeter meter;
    std::map<ProxyId, Queued> queued;
    std::deque<Point> history;
    Instant heard;
  };

  std::map<AssignmentId, RequestMeter> requests_;
  std::map<AssignmentId, Usage> usage_;
  std::map<NodeId, Host> hosts_;
  std::map<AppId, AppBook> apps_;
};

}  // namespace pando::controller
