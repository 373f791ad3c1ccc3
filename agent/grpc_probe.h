// Probes over gRPC: asks grpc.health.v1.Health/Check.
#pragma once

#include <grpcpp/completion_queue.h>

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "agent/probe_answer.h"
#include "common/base/time.h"
#include "common/runtime/event_loop.h"

namespace pando::agent {

// Used on the loop's thread. A thread of its own, from the first probe on, waits for the answers
// and posts them to the loop; none comes once this is gone.
class GrpcProber {
 public:
  explicit GrpcProber(EventLoop& loop);
  ~GrpcProber();
  GrpcProber(const GrpcProber&) = delete;
  GrpcProber& operator=(const GrpcProber&) = delete;

  // `targets` are tried in turn: "127.0.0.1:20013". `done` is called once, within the timeout.
  void Probe(const std::vector<std::string>& targets, const std::string& service, Millis timeout,
             ProbeDone done);

 private:
  struct Call;

  void AwaitAnswers();
  void OnAnswer(Call* call);

  EventLoop& loop_;
  // Its own: the queue that gRPC's callbacks share is made and destroyed with the channels that use
  // it, and these come and go here.
  ::grpc::CompletionQueue queue_;
  std::map<Call*, std::unique_ptr<Call>> calls_;
  std::thread thread_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace pando::agent
