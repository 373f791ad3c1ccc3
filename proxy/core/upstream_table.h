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
#include <string>
#include <vector>

#include "common/base/time.h"

namespace pando::proxy {

// Shared by all workers; the only shared writes on the request path. One cache line each.
struct alignas(64) EndpointCounters {
  std::atomic<uint32_t> in_flight{0};
  std::atomic<uint32_t> tunnels{0};  // of these
  // When it last answered, and when a connection to it last failed; 0: never. Plain stores, on a
  // line that is written for every request anyway.
  std::atomic<Instant::rep> answered_at{0};
  std::atomic<Instant::rep> unreachable_at{0};
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

enum class LbPolicy { kLeastRequest, kRoundRobin, kRandom };

struct Cluster {
  std::string name;
  LbPolicy lb_policy = LbPolicy::kLeastRequest;
  Millis connect_timeout{1'000};
  std::vector<Endpoint> endpoints;
};

// Matches whole segments when `segments` (xDS path_separated_prefix, or prefix "/"); plain prefix
// otherwise.
struct Route {
  std::string prefix = "/";
  bool segments = true;
  std::string cluster;
  // From the request head being sent to the first byte of the response; zero is "no limit".
  Millis timeout{0};
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
