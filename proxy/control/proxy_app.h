// The proxy's parts, wired: data plane, table, controller streams, admin pages.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/runtime/admin_http.h"
#include "common/runtime/data_dir.h"
#include "common/runtime/event_loop.h"
#include "common/runtime/flags.h"
#include "common/runtime/metrics.h"
#include "proxy/control/load_reporter.h"
#include "proxy/control/proxy_status.h"
#include "proxy/control/table_file.h"
#include "proxy/control/table_updater.h"
#include "proxy/control/takeover.h"
#include "proxy/control/xds_client.h"
#include "proxy/net/data_plane.h"

namespace pando::proxy {

struct ProxyOptions {
  std::string data_dir;
  std::string id;
  HostPort controller;
  HostPort http_listen;
  int workers = 0;
  Millis drain_timeout{30'000};
  Millis tunnel_drain_timeout{60'000};
  bool takeover = false;
};

// As written on the command line. Outlives the Flags it was added to.
struct ProxyFlags {
  std::string data_dir = "/var/lib/pando/proxy";
  std::string id;  // the host's name
  std::string controller = "127.0.0.1:7400";
  std::string http_listen = "127.0.0.1:7482";
  int workers = 0;
  std::string drain_timeout = "30s";
  std::string tunnel_drain_timeout = "60s";
  bool takeover = false;
  bool insecure = false;

  ProxyFlags();
  void AddTo(Flags& flags);
  // kInvalidArgument names the flag, its value and what is allowed.
  absl::StatusOr<ProxyOptions> Read() const;
};

class ProxyApp {
 public:
  // Serves by the last run's table from here on, if there is one. With options.takeover, whoever
  // runs in the data directory is asked for its listening sockets and its table; Run then completes
  // the takeover. Errors are one line, for people; the running proxy is not touched by them.
  static absl::StatusOr<std::unique_ptr<ProxyApp>> Create(const ProxyOptions& options);
  ~ProxyApp();
  ProxyApp(const ProxyApp&) = delete;
  ProxyApp& operator=(const ProxyApp&) = delete;

  // Until Drain has ended.
  void Run();
  // On the loop: stops accepting, lets requests end within the drain timeout, ends Run.
  void Drain();
  // On the loop: starts `command`, this process's own, to take over from this one.
  void Upgrade(std::vector<std::string> command);

  EventLoop& loop() { return loop_; }
  uint16_t http_port() const { return http_.port(); }

 private:
  ProxyApp(const ProxyOptions& options, std::unique_ptr<DataDir> data_dir);
  absl::Status Start(std::optional<Inheritance> inherited);
  absl::Status Inherit(Inheritance inherited);
  void OnSwitched(std::shared_ptr<const ProxyTable> table);
  // From here on the data directory and the proxy's id are this process's.
  void Own();
  Estate Share() const;
  void HandOver();
  void EndWithoutClients();

  // In the order things may use each other: what is below goes first.
  const ProxyOptions options_;
  EventLoop loop_;
  Metrics metrics_;
  std::unique_ptr<DataDir> data_dir_;
  TableFile table_file_;
  bool owner_ = false;
  bool draining_ = false;
  pid_t successor_ = 0;  // started by Upgrade and not ended
  std::shared_ptr<grpc::Channel> channel_;
  // Before the reporter it reports to: its workers are joined in its destructor, and until then
  // they may call. See ~ProxyApp.
  std::unique_ptr<DataPlane> data_plane_;
  TableUpdater updater_;
  XdsClient client_;
  LoadReporter reporter_;
  std::shared_ptr<ProxyMetrics> proxy_metrics_;
  AdminHttp http_;
  TakeoverServer takeover_server_;
  std::unique_ptr<Succession> succession_;  // null: started alone
  bool announced_ = false;                  // it was said that this process serves
};

}  // namespace pando::proxy
