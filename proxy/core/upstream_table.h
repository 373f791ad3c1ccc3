// The table a proxy routes and balances by: immutable, built by the control thread, posted to the
// workers, dropped when the last request that started with it is done.
//
// Counters that must outlive a table (requests in flight to an instance) hang off it by pointer and
// are handed from one table to the next by EndpointRegistry, keyed by cluster and address.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "proxy/core/http_options.h"
#include "proxy/core/tls_settings.h"

namespace pando::proxy {

// Shared by all workers; the only shared writes on the request path. What every request touches is
// in the first cache line. Instants are kept as nanoseconds of the steady clock, 0 for never.
struct alignas(64) EndpointCounters {
  std::atomic<uint32_t> in_flight{0};    // requests, from their being sent to their end
  std::atomic<uint32_t> tunnels{0};      // of these
  std::atomic<uint32_t> slots_taken{0};  // of the instance's concurrency limit
  std::atomic<uint32_t> consecutive_failures{0};
  // When it last answered, and when a connection to it last failed. Plain stores, on a line that is
  // written for every request anyway.
  std::atomic<Instant::rep> answered_at{0};
  std::atomic<Instant::rep> unreachable_at{0};
  std::atomic<int64_t> ejected_until{0};
  std::atomic<float> error_load{0};      // see core/load.h
  std::atomic<float> latency_micros{0};  // see core/peak_ewma.h
  std::atomic<int64_t> error_load_at{0};
  std::atomic<int64_t> latency_at{0};
  // The second line.
  std::atomic<uint64_t> answered{0};        // requests that gave their slot back with an answer
  std::atomic<uint64_t> service_micros{0};  // those requests held their slots for
  std::atomic<uint64_t> failed{0};          // attempts that brought an error or nothing
  std::atomic<uint32_t> ejections{0};       // in close succession: each lasts twice as long
};

enum class EndpointHealth {
  kHealthy,   // may be picked
  kDraining,  // finishes what it has; never picked
  kSuspect,   // picked only when no endpoint is healthy
};

struct Endpoint {
  std::string address;  // numeric IPv4 or IPv6
  uint16_t port = 0;
  EndpointHealth health = EndpointHealth::kHealthy;
  uint32_t weight = 1;
  std::string instance;    // "web.3", from the endpoint's pando metadata; empty when absent
  std::string assignment;  // id of the assignment, likewise
  std::string revision;    // "7", likewise
  std::shared_ptr<EndpointCounters> counters;  // never null in a finished table
};

// "web.3"; where the control plane names no instances, the address tells them apart.
std::string InstanceName(const Endpoint& endpoint);

enum class LbPolicy {
  kLeastRequest,
  kRoundRobin,
  kRandom,
  kPeakEwma,
  kRingHash,
  kMaglev,
  kSticky,  // the instance the client's cookie names; else the one with the fewest requests
};

// How many requests an instance is given at a time; the others wait in the proxy.
struct Concurrency {
  enum class Kind { kAuto, kFixed, kUnlimited };
  Kind kind = Kind::kUnlimited;
  uint32_t limit = 0;  // with kFixed
  bool operator==(const Concurrency&) const = default;
};

struct QueueLimits {
  uint32_t max = 10'000;  // requests of the app that wait
  Millis timeout{30'000};
  bool operator==(const QueueLimits&) const = default;
};

// When an instance is passed over because of what it answers. See core/outlier.h.
struct OutlierPolicy {
  uint32_t consecutive_failures = 5;  // 0: never for that
  Millis base_ejection{5'000};
  Millis max_ejection{60'000};
  uint32_t max_ejected_percent = 50;
  Millis interval{5'000};             // of looking at success rates
  double success_rate_stdev = 1.9;    // below the mean by so many deviations; 0: never for that
  uint32_t success_rate_hosts = 3;    // that had at least
  uint32_t success_rate_volume = 50;  // requests in the interval
  bool operator==(const OutlierPolicy&) const = default;
};

// So many percent of the requests are for the endpoints of one revision, the others for the rest.
// A side on which nobody can be picked leaves its share to the other one.
struct TrafficSplit {
  std::string revision;
  uint32_t percent = 0;
  bool operator==(const TrafficSplit&) const = default;
};

// How requests are spread over a cluster's endpoints.
struct ClusterOptions {
  LbPolicy lb_policy = LbPolicy::kLeastRequest;
  // With kRingHash and kMaglev: an instance gets at most this share of the mean load. 0: no bound.
  uint32_t hash_balance_percent = 125;
  Millis slow_start{0};  // a new instance's weight grows from a tenth to all of it meanwhile
  Concurrency concurrency;
  QueueLimits queue;
  OutlierPolicy outlier;
  uint32_t panic_percent = 50;  // with fewer left than that, ejections are ignored
  std::optional<TrafficSplit> split;
};

struct Cluster : ClusterOptions {
  std::string name;
  Millis connect_timeout{1'000};
  std::vector<Endpoint> endpoints;
};

// What makes requests belong together.
struct HashSource {
  enum class Kind { kNone, kHeader, kCookie, kSourceAddress };
  Kind kind = Kind::kNone;
  std::string name;      // of the header, in lower case, or of the cookie
  Millis cookie_ttl{0};  // of one that kSticky sets; 0: the browser's session
  bool operator==(const HashSource&) const = default;
};

// Matches whole segments when `segments` (xDS path_separated_prefix, or prefix "/"); plain prefix
// otherwise.
// Plain HTTP answered with the same URL in HTTPS.
struct HttpsRedirect {
  int status = 301;
  uint16_t port = 0;  // the one users see; 0 and 443 are not spelled out
};

struct Route {
  std::string prefix = "/";
  bool segments = true;
  std::string cluster;  // unless it redirects
  std::optional<HttpsRedirect> redirect;
  RouteLimits limits{};
  HashSource hash{};
};

struct VirtualHost {
  std::vector<std::string> domains;  // lower case; "*", "*.example.com", "www.example.com"
  std::vector<Route> routes;         // first match wins
};

struct RouteTable {
  std::string name;
  std::vector<VirtualHost> virtual_hosts;
};

struct Listener {
  std::string name;
  std::string address;
  uint16_t port = 0;
  std::string route_table;
  std::optional<TlsSettings> tls{};  // absent: plain HTTP
  HttpOptions http{};
  bool operator==(const Listener&) const = default;
};

struct ProxyTable {
  uint64_t version = 0;  // counts the tables of this process
  std::vector<Listener> listeners;
  std::map<std::string, RouteTable> routes;
  std::map<std::string, std::shared_ptr<const Cluster>> clusters;
};

// Keeps each endpoint's counters alive from table to table. Used by the control thread only.
class EndpointRegistry {
 public:
  std::shared_ptr<EndpointCounters> Get(const std::string& cluster, const std::string& address,
                                        uint16_t port);
  // Forgets entries no table or request uses any more.
  void Sweep();

 private:
  std::map<std::string, std::weak_ptr<EndpointCounters>> counters_;
};

}  // namespace pando::proxy
