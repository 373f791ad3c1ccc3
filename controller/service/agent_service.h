// The agents' sessions: translates between their stream and the control loop, and tails their
// instances' logs for whoever asks. Decides nothing.
#pragma once

#include <prometheus/counter.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>

#include "common/runtime/metrics.h"
#include "controller/service/control_loop.h"
#include "controller/service/loop_stream.h"
#include "controller/service/observations.h"
#include "pando/v1/agent.grpc.pb.h"

namespace pando::controller {

class AgentService final : public v1::AgentService::CallbackService {
 public:
  AgentService(ControlLoop& control, OpenStreams& streams, Observations& observations,
               Metrics& metrics, Millis heartbeat_interval);
  ~AgentService() override;

  grpc::ServerBidiReactor<v1::AgentMessage, v1::ControllerMessage>* Session(
      grpc::CallbackServerContext* context) override;

  // The rest runs on the loop.

  // Replaces what an earlier call gave for this node and was not sent yet. Nodes without a session
  // get their orders when they connect.
  void SendOrders(const NodeId& node, v1::Orders orders);

  struct LogTarget {
    NodeId node;
    AssignmentId assignment;
    uint32_t tail_lines = 0;
    int64_t since_unix_ms = 0;
    bool previous = false;
    bool follow = false;
  };
  // Hears every chunk; one with `end` is the last. One chunk of lines comes unasked; an empty one
  // says that there is no more for now, and leaves the question open.
  using LogSink = std::function<void(const v1::LogChunk&)>;
  // A number for CancelLog. kUnavailable: the node is not connected. kResourceExhausted: too many
  // readers.
  absl::StatusOr<uint64_t> OpenLog(const LogTarget& target, LogSink sink);
  // For one chunk more.
  void AskForMoreLog(uint64_t request_id);
  void CancelLog(uint64_t request_id);

 private:
  class AgentSession;
  struct OpenedLog {
    AgentSession* session = nullptr;
    LogSink sink;
  };

  void OnLogChunk(AgentSession* session, const v1::LogChunk& chunk);
  void EndLogsOf(AgentSession* session, const std::string& reason);

  ControlLoop& control_;
  OpenStreams& streams_;
  Observations& observations_;
  const Millis heartbeat_interval_;
  prometheus::Counter& orders_sent_total_;
  std::map<NodeId, AgentSession*> sessions_;  // the newest of each node, after its hello
  std::map<uint64_t, OpenedLog> logs_;
  uint64_t next_log_ = 1;
};

}  // namespace pando::controller
