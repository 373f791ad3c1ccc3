// A probe over a TCP connection of its own: that it is accepted, and over HTTP also what is
// answered. An agent makes hundreds of them in a second, so it is made of few system calls: on one
// host the kernel has connected before connect() returns, and a request can follow at once.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "agent/core/assignment.h"
#include "agent/probe_answer.h"
#include "common/runtime/unique_fd.h"

namespace pando::agent {

// Lives on the loop until the app has closed the connection, at most until the timeout.
class ConnectionProbe : public std::enable_shared_from_this<ConnectionProbe> {
 public:
  using Endpoints = std::vector<boost::asio::ip::tcp::endpoint>;

  // `done` is called once, within the timeout, and never before Begin has returned.
  ConnectionProbe(boost::asio::io_context& io, ProbePolicy policy, ProbeDone done);

  // Tries the endpoints in turn.
  void Begin(Endpoints endpoints);

 private:
  void Connect();
  void GoOn();
  int Send();
  void OnConnectError(int error);
  void Await(boost::asio::posix::stream_descriptor::wait_type what,
             void (ConnectionProbe::*then)());
  void Read();
  void OnBytes(absl::string_view bytes);
  void OnEnd(int error);
  void CloseSocket();
  std::string Request() const;
  std::string Judge(absl::string_view status_line) const;
  void Finish(std::string failure) { Answer({std::move(failure)}); }
  void Answer(ProbeAnswer answer);
  void Close();
  int fd() { return waiting_.is_open() ? waiting_.native_handle() : socket_.get(); }

  UniqueFd socket_;                                // until it is waited for, which many never are
  boost::asio::posix::stream_descriptor waiting_;  // then here
  boost::asio::steady_timer timer_;
  ProbePolicy policy_;
  ProbeDone done_;
  Endpoints endpoints_;
  size_t index_ = 0;  // of the endpoint that is tried
  std::string request_;
  size_t sent_ = 0;
  std::string answer_;  // up to the end of the status line
  size_t received_ = 0;
};

}  // namespace pando::agent
