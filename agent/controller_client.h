// The session with the controller: connects, says hello, and connects anew whenever it breaks.
#pragma once

#include <functional>
#include <memory>
#include <random>
#include <string>

#include "absl/status/status.h"
#include "agent/outbox.h"
#include "common/base/backoff.h"
#include "common/runtime/event_loop.h"
#include "pando/v1/agent.pb.h"

namespace pando::agent {

// Used on the loop; gRPC's threads only post to it. What is sent while there is no session is
// dropped: the next hello says it all.
class ControllerClient {
 public:
  struct Handlers {
    std::function<v1::Hello()> hello;
    // An error ends the session: this controller is not obeyed. Tried again, slowly.
    std::function<absl::Status(const v1::Welcome&)> welcome;
    std::function<void(const v1::Orders&)> orders;
    std::function<void(const v1::LogRequest&)> log_request;
    std::function<void(uint64_t request_id)> log_cancel;
    std::function<v1::Heartbeat()> heartbeat;
    std::function<void(bool connected)> connected;
  };

  // `seed` is random: agents that lost their controller together do not return together.
  ControllerClient(EventLoop& loop, std::string address, Handlers handlers, uint64_t seed);
  // Ends the session and waits until gRPC let go of it (ms). On the loop, or after it stopped.
  ~ControllerClient();
  ControllerClient(const ControllerClient&) = delete;
  ControllerClient& operator=(const ControllerClient&) = delete;

  void Start();

  void SendStatus(v1::InstanceStatus status);
  void SendGone(const std::string& assignment_id);
  bool HasLogRoom() const { return connected_ && outbox_.HasLogRoom(); }
  void SendLogChunk(v1::LogChunk chunk);

 private:
  class Stream;

  void Connect();
  void OnMessage(const v1::ControllerMessage& message);
  void OnWelcome(const v1::Welcome& welcome);
  void OnRefused(const std::string& reason);
  void OnEnded(const std::string& reason);
  void Pump();
  void Heartbeat(uint64_t session, Millis interval);
  // Runs on the loop unless this is gone by then.
  void Later(Millis delay, std::function<void()> task);

  EventLoop& loop_;
  std::string address_;
  Handlers handlers_;
  std::mt19937_64 random_;
  std::shared_ptr<Stream> stream_;  // null between sessions
  uint64_t session_ = 0;            // counts the streams
  Outbox outbox_;
  bool connected_ = false;    // welcomed
  bool refused_ = false;      // by either side: the next try comes slowly
  bool unreachable_ = false;  // and said so
  std::string last_refusal_;
  int attempt_ = 0;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace pando::agent
