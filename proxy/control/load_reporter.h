// Load reports (LRS) to the controller: all endpoints at the interval it asks for, and at once
// those that drain, when a table with them runs on all workers and whenever one of them has nothing
// left in flight - so that no drain waits for an interval.
#pragma once

#include <grpcpp/channel.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>

#include "common/base/backoff.h"
#include "common/runtime/executor.h"
#include "envoy/service/load_stats/v3/lrs.grpc.pb.h"
#include "proxy/control/client_stream.h"
#include "proxy/core/upstream_table.h"
#include "proxy/net/data_plane.h"

namespace pando::proxy {

// Threads: everything on `loop`, except OnDrained.
class LoadReporter {
 public:
  // `stats` gives the counters of the data plane; `loop` outlives it.
  LoadReporter(Executor& loop, std::shared_ptr<grpc::Channel> channel,
               envoy::config::core::v3::Node node, std::function<DataPlaneStats()> stats);
  ~LoadReporter();

  void Start();
  // Reports under another name from now on.
  void Reconnect(envoy::config::core::v3::Node node);
  // All workers run `table`.
  void OnTable(std::shared_ptr<const ProxyTable> table);
  // A draining endpoint has nothing in flight any more. Any thread; not after the destructor began.
  void OnDrained();

 private:
  using Request = envoy::service::load_stats::v3::LoadStatsRequest;
  using Response = envoy::service::load_stats::v3::LoadStatsResponse;
  struct Totals {
    uint64_t issued = 0;
    uint64_t successful = 0;
    uint64_t errors = 0;
  };

  void Connect();
  void OnResponse(const Response& response);
  void OnEnd();
  void ScheduleReport();
  void WriteDue();
  bool Reported(const std::string& cluster) const;
  Request FullReport();
  std::optional<Request> DrainReport() const;
  std::map<std::string, Totals> ReadTotals() const;

  Executor& loop_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<envoy::service::load_stats::v3::LoadReportingService::Stub> stub_;
  envoy::config::core::v3::Node node_;
  const std::function<DataPlaneStats()> stats_;
  std::shared_ptr<const ProxyTable> table_;

  std::unique_ptr<ClientStream<Request, Response>> stream_;
  bool asked_ = false;  // the server said what it wants
  bool all_clusters_ = false;
  std::set<std::string> clusters_;
  Millis interval_{1'000};
  uint64_t schedule_ = 0;  // outdates earlier timers
  uint64_t connects_ = 0;  // likewise, of reconnecting
  bool full_due_ = false;
  bool drain_due_ = false;
  std::map<std::string, Totals> last_totals_;
  Instant last_full_{};
  int attempt_ = 0;
  std::mt19937 random_{std::random_device{}()};
  std::atomic<bool> drained_posted_{false};
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace pando::proxy
