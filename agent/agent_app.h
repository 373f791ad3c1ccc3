// The agent, put together.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "agent/agent_loop.h"
#include "agent/agent_options.h"
#include "agent/cgroup.h"
#include "agent/controller_client.h"
#include "agent/delay_watch.h"
#include "agent/instance_metrics.h"
#include "agent/local_address.h"
#include "agent/log_streams.h"
#include "agent/usage_sampler.h"
#include "common/runtime/admin_http.h"
#include "common/runtime/data_dir.h"
#include "common/runtime/event_loop.h"
#include "common/runtime/metrics.h"

namespace pando::agent {

class AgentApp {
 public:
  // Takes the data directory and the HTTP port. Errors are for people.
  static absl::StatusOr<std::unique_ptr<AgentApp>> Create(AgentOptions options);
  ~AgentApp();

  EventLoop& loop() { return loop_; }
  uint16_t http_port() const { return http_.port(); }
  // Until RequestStop.
  void Run();
  // On the loop. Instances go on running unless --stop-instances-on-exit.
  void RequestStop();

 private:
  AgentApp(AgentOptions options, std::unique_ptr<DataDir> data_dir, AgentState state,
           std::unique_ptr<CgroupTree> groups);

  void FindAddressThenConnect(bool told);
  v1::Hello MakeHello() const;
  v1::Heartbeat MakeHeartbeat() const;
  ControllerClient::Handlers MakeHandlers();
  absl::Status OnWelcome(const v1::Welcome& welcome);
  void OnOrders(const v1::Orders& orders);
  void OnUsage();

  AgentOptions options_;
  std::unique_ptr<DataDir> data_dir_;  // holds the lock: one agent per directory
  AgentState state_;
  std::unique_ptr<CgroupTree> groups_;  // null: the host has none
  EventLoop loop_;
  Metrics metrics_;
  AgentMetrics agent_metrics_;
  AdminHttp http_;
  std::string address_;
  std::string last_refusal_;
  AgentLoop instances_;
  DelayWatch delays_;
  UsageSampler usage_;
  std::shared_ptr<InstanceMetrics> instance_metrics_;
  LogStreams logs_;
  ControllerClient controller_;
};

}  // namespace pando::agent
