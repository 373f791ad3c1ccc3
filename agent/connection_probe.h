// A probe over a TCP connection of its own: that it is accepted, and over HTTP also what is
// answered. Made of few system calls: on one host the kernel has connected before connect()
// returns, and a request can follow at once.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "agent/core/assignment.h"
#include "agent/probe_answer.h"
#include "common/runtime/unique_fd.h"

namespace pando::agent {

// Waits for nothing itself. Not thread-safe.
class ConnectionProbe {
 public:
  using Endpoints = std::vector<boost::asio::ip::tcp::endpoint>;
  // For what to call GoOn. kNothing: it is over, and the socket closed.
  enum class Wait { kNothing, kWritable, kReadable };

  // Tries the endpoints, of which there is one at least, in turn.
  ConnectionProbe(ProbePolicy policy, Endpoints endpoints)
      : policy_(std::move(policy)), endpoints_(std::move(endpoints)) {}

  // Each goes as far as it can without waiting.
  Wait Begin() { return Connect(); }
  Wait GoOn();
  // Ends it: at its timeout, or since this host cannot go on.
  void Expire();
  void GiveUp(std::string why);

  // The verdict, once, as soon as there is one: the app may still be writing.
  std::optional<ProbeAnswer> TakeAnswer() { return std::exchange(answer_, std::nullopt); }
  const ProbePolicy& policy() const { return policy_; }
  int fd() const { return socket_.get(); }
  // How many sockets it has had: descriptors' numbers are given again.
  int sockets() const { return sockets_; }

 private:
  Wait Connect();
  int Send();
  Wait OnConnectError(int error);
  Wait Read();
  void OnBytes(absl::string_view bytes);
  std::string Request() const;
  std::string Judge(absl::string_view status_line) const;
  void Answer(ProbeAnswer answer);
  void Finish(std::string failure) { Answer({std::move(failure)}); }

  ProbePolicy policy_;
  Endpoints endpoints_;
  size_t index_ = 0;  // of the endpoint that is tried
  UniqueFd socket_;
  int sockets_ = 0;
  std::string request_;
  size_t sent_ = 0;
  bool judged_ = false;
  std::optional<ProbeAnswer> answer_;
  std::string status_line_;  // as far as it is there
  size_t received_ = 0;
};

}  // namespace pando::agent
