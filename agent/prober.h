// Health probes of this node's instances: asynchronous, on the loop's thread, each with a timeout.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "agent/core/assignment.h"
#include "common/runtime/event_loop.h"

namespace pando::agent {

class Prober {
 public:
  // Empty when it passed, else why not: "connection refused", "HTTP status 503".
  using Done = std::function<void(const std::string& failure)>;

  explicit Prober(EventLoop& loop) : loop_(loop) {}

  // Where an instance may listen that does not listen on 127.0.0.1: the node's own address.
  void SetSecondAddress(std::string address) { second_address_ = std::move(address); }

  // `done` is called once, within the timeout.
  void Probe(const ProbePolicy& policy, uint16_t port, Done done);

 private:
  EventLoop& loop_;
  std::string second_address_;
};

}  // namespace pando::agent
