// What a data plane has counted, read at scrape time: sums over the workers' own counters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace pando::proxy {

// Upper bounds of all histograms' buckets in seconds; one more bucket has none.
const std::vector<double>& LatencyBounds();

struct HistogramStats {
  std::vector<uint64_t> buckets;  // not cumulative; empty or LatencyBounds().size() + 1
  double sum_seconds = 0;

  uint64_t count() const;
  // The upper bound of the bucket that holds the quantile, 0 when nothing was recorded; beyond the
  // last bound, that bound.
  double Quantile(double q) const;
  void Add(const HistogramStats& other);
};

// Where a request's time goes. Resolution is a round of the event loop.
struct TimingStats {
  HistogramStats connect;     // until a new connection to an instance stands
  HistogramStats first_byte;  // from the request being sent to the response's first byte
  HistogramStats total;       // from the request's head being read to the response's end

  void Add(const TimingStats& other);
};

// What responses are counted by: "none" is one the client did not get.
inline constexpr const char* kResponseClasses[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};

// What an instance has done.
struct InstanceStats {
  std::string instance;                 // or "address:port" where the control plane names none
  uint64_t responses_by_class[6] = {};  // in the order of kResponseClasses
  uint64_t failures_total = 0;          // attempts without a usable response
  uint64_t ejections_total = 0;
  uint64_t request_bytes_total = 0;   // sent to it, heads included
  uint64_t response_bytes_total = 0;  // received from it, likewise
  TimingStats timing;
};

// Requests waiting for an instance that may take one more.
struct QueueStats {
  uint64_t waiting = 0;
  uint64_t queued_total = 0;     // had to wait
  uint64_t full_total = 0;       // answered 503 at once
  uint64_t timeouts_total = 0;   // answered 503 after waiting
  uint64_t abandoned_total = 0;  // the client left
  HistogramStats wait;           // of those that were given to an instance
};

struct ClusterStats {
  std::string cluster;
  uint64_t requests_total = 0;  // answered, by class below
  // Those of instances and those made by the proxy itself.
  uint64_t responses_by_class[6] = {};
  uint64_t retries_total = 0;
  uint64_t no_endpoint_total = 0;        // 503: no instance was ready
  uint64_t upstream_failures_total = 0;  // 502 and 504 given to clients
  uint64_t cut_responses_total = 0;      // begun, and ended before their end
  uint64_t connects_total = 0;
  uint64_t connect_failures_total = 0;
  uint64_t request_bytes_total = 0;  // to and from all instances there have been
  uint64_t response_bytes_total = 0;
  uint64_t ejections_total = 0;
  QueueStats queue;
  TimingStats timing;
  std::vector<InstanceStats> instances;  // those in the table, by name
  // The same, but what replaces an instance is not what it replaces: `instance` is the assignment.
  std::vector<InstanceStats> assignments;
};

// A certificate that is in use.
struct CertificateStats {
  std::string file;
  std::vector<std::string> names;
  int64_t not_after_seconds = 0;  // since the Unix epoch
  std::string error;              // why the file's present content is not used
};

struct DataPlaneStats {
  std::vector<ClusterStats> clusters;
  uint64_t connections_accepted_total = 0;
  uint64_t connections_active = 0;
  uint64_t accept_pauses_total = 0;  // descriptors ran out: clients waited in the backlog
  uint64_t slow_clients_total = 0;   // closed, since they took nothing of a response for too long
  uint64_t bad_requests_total = 0;   // 4xx made by the proxy itself
  uint64_t unrouted_total = 0;       // 404: no route
  uint64_t tables_applied_total = 0;
  uint64_t access_log_lines_total = 0;
  uint64_t access_log_dropped_total = 0;  // the log could not keep up, or could not be written
  uint64_t tls_handshakes_total = 0;
  uint64_t tls_resumed_total = 0;   // of those, by a ticket
  uint64_t tls_failures_total = 0;  // handshakes that were begun and not finished
};

}  // namespace pando::proxy
