// Probes over gRPC: asks grpc.health.v1.Health/Check.
//
// A probe is to see what a new client would see, but a channel costs more than all questions that
// are asked over it in a minute. So one that was answered is kept for a while, and a failure counts
// only on a new one.
#pragma once

#include <grpcpp/completion_queue.h>

#include <map>
#include <memory>
#include <optional>
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
  static constexpr Millis kKeptFor{30'000};

  // How long a channel is used again: that long it may go unnoticed that new ones are not accepted.
  explicit GrpcProber(EventLoop& loop, Millis kept_for = kKeptFor);
  ~GrpcProber();
  GrpcProber(const GrpcProber&) = delete;
  GrpcProber& operator=(const GrpcProber&) = delete;

  // `targets` are tried in turn: "127.0.0.1:20013". `done` is called once, within the timeout.
  void Probe(const std::vector<std::string>& targets, const std::string& service, Millis timeout,
             ProbeDone done);

 private:
  struct Question;
  struct Line;
  struct Call;

  void Ask(Question question, std::optional<Line> kept);
  std::optional<Line> TakeKept(const std::string& target);
  void AwaitAnswers();
  void OnAnswer(Call* call);

  EventLoop& loop_;
  const Millis kept_for_;
  std::map<std::string, Line> kept_;  // by target; not while they are in use
  Instant sweep_at_{};
  // Its own: the queue that gRPC's callbacks share is made and destroyed with the channels that use
  // it, and these come and go here.
  ::grpc::CompletionQueue queue_;
  std::map<Call*, std::unique_ptr<Call>> calls_;
  std::thread thread_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace pando::agent
