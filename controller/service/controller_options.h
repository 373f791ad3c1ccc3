// The controller's flags and what they mean.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/runtime/flags.h"
#include "controller/core/cluster.h"

namespace pando::controller {

struct ControllerOptions {
  std::string data_dir;
  HostPort listen;       // gRPC: agents, proxies, ctl
  HostPort http_listen;  // /metrics, /healthz
  ClusterPolicy policy;
  Millis artifact_grace{3'600'000};  // from an artifact's last use until it may be dropped
};

// As written on the command line. Outlives the Flags it was added to.
struct ControllerFlags {
  std::string data_dir = "/var/lib/pando/controller";
  std::string listen = "127.0.0.1:7400";
  std::string http_listen = "127.0.0.1:7480";
  bool insecure = false;
  std::string suspect_after = "2s";
  std::string lost_after = "5s";
  std::string proxy_lease = "10s";
  std::string recovery_window = "5s";
  std::string rebalance_after = "30s";
  std::string artifact_grace = "1h";

  void AddTo(Flags& flags);
  // kInvalidArgument names the flag, its value and what is allowed.
  absl::StatusOr<ControllerOptions> Read() const;
};

// "500ms", "2s", "1m"; from 1 ms to 1 h.
absl::StatusOr<Millis> ParseDuration(const std::string& flag, const std::string& text);

}  // namespace pando::controller
