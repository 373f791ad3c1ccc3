// Taking over from a running proxy, both sides; what is said between them is in estate.h.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/runtime/event_loop.h"
#include "proxy/control/estate.h"

namespace pando::proxy {

// The new process's first step, at its start: asks whoever runs in the data directory for all it
// has. nullopt: nobody runs there. Waits for an answer, but not for long; on an error the running
// proxy goes on as before.
struct Inheritance {
  Estate estate;
  UniqueFd wire;
};
absl::StatusOr<std::optional<Inheritance>> AskForTakeover(const std::string& data_dir);

// The new process's second step: says that it serves, and hears what becomes of the old one.
// Everything on `loop`.
class Succession {
 public:
  struct Hooks {
    std::function<void()> over;  // the old one uses neither directory nor id any more, or is gone
    std::function<void()> gone;  // the old one has ended; after `over`
  };
  Succession(EventLoop& loop, UniqueFd wire, Hooks hooks);

  void SayServing();

 private:
  void Listen();
  void Over();

  EventLoop& loop_;
  Hooks hooks_;
  boost::asio::posix::stream_descriptor wire_;
  bool over_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// The old process's side: listens in the data directory, one successor at a time. On `loop`.
class TakeoverServer {
 public:
  struct Hooks {
    std::function<Estate()> estate;     // duplicates, to be handed over
    std::function<void()> handed_over;  // the successor serves: stop using all of it
  };
  TakeoverServer(EventLoop& loop, std::string data_dir, Hooks hooks);

  // Logs what goes wrong: a proxy that cannot be taken over from is still a proxy.
  void Start();
  void Stop();

 private:
  void Accept();
  void OnConnected();
  void OnMessage();
  void Forget(const std::string& why);

  const std::string data_dir_;
  const Hooks hooks_;
  boost::asio::posix::stream_descriptor acceptor_;
  boost::asio::posix::stream_descriptor wire_;  // to the successor
  bool estate_sent_ = false;
  bool handed_over_ = false;
};

}  // namespace pando::proxy
