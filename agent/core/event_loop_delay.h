// How long work waits for an app's event loop, as the app says itself on its page for Prometheus.
#pragma once

#include <optional>
#include <string_view>

namespace pando::agent {

struct EventLoopDelay {
  std::optional<double> mean_seconds;
  std::optional<double> p99_seconds;

  bool empty() const { return !mean_seconds && !p99_seconds; }
  bool operator==(const EventLoopDelay&) const = default;
};

// Of a page in Prometheus' text format (0.0.4): nodejs_eventloop_lag_{mean,p99}_seconds, as
// prom-client calls them, or nodejs_eventloop_delay_{mean,p99}_seconds, as OpenTelemetry does.
// nodejs_eventloop_lag_seconds, one measurement at the time of asking, stands in for a mean that is
// not there. Of several series of a name (the workers of one instance) the largest counts.
//
// Other metrics are passed over unread. A line of one of these that is not as the format says, is
// not closed by a line end, or holds a number that cannot be a delay, counts as not there.
EventLoopDelay ReadEventLoopDelay(std::string_view page);

}  // namespace pando::agent
