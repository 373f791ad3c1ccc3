// Health probes of this node's instances: asynchronous, on the loop's thread, each with a timeout.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/connection_prober.h"
#include "agent/core/assignment.h"
#include "agent/exec_probe.h"
#include "agent/grpc_probe.h"
#include "agent/probe_answer.h"
#include "common/base/ids.h"
#include "common/runtime/event_loop.h"

namespace pando::agent {

class Prober {
 public:
  explicit Prober(EventLoop& loop) : loop_(loop), connections_(loop), grpc_(loop) {}
  // Ends the commands that run; what has not been answered will not be.
  ~Prober();
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

  // Where an instance may listen that does not listen on 127.0.0.1: the node's own address.
  void SetSecondAddress(const std::string& address);

  // Where an instance may be found, in the order to try.
  std::vector<boost::asio::ip::tcp::endpoint> AddressesOf(uint16_t port) const;

  // Each calls `done` once, within the timeout, and never before it returns.
  void Probe(const ProbePolicy& policy, uint16_t port, ProbeDone done);
  // An instance's command runs once at a time: one that outlives its timeout, since the kernel
  // cannot kill it, makes the next probe fail.
  void ProbeByCommand(const AssignmentId& id, const ProbePolicy& policy,
                      const absl::StatusOr<ProbeCommand>& command, ProbeDone done);

 private:
  void ProbeByConnection(const ProbePolicy& policy, uint16_t port, ProbeDone done);
  void ProbeByGrpc(const ProbePolicy& policy, uint16_t port, ProbeDone done);

  EventLoop& loop_;
  std::optional<boost::asio::ip::address> second_address_;  // another one than 127.0.0.1
  ConnectionProber connections_;
  GrpcProber grpc_;
  std::map<AssignmentId, std::shared_ptr<ExecProbe>> commands_;  // those that run
};

}  // namespace pando::agent
