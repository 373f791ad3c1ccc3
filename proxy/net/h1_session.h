// A client's connection: reads request heads in order and has each answered by an Exchange before
// the next one is looked at. Bytes are kept only while they are a partial or a pipelined message.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <string_view>

#include "proxy/core/h1_parser.h"
#include "proxy/net/forwarder.h"
#include "proxy/net/poller.h"
#include "proxy/net/socket.h"

namespace pando::proxy {

class RouteIndex;
class Worker;

// A listening address as one worker knows it; lives as long as the worker.
struct ListenerState {
  std::string route_table;
  const RouteIndex* routes = nullptr;  // of the worker's current table; null: none
};

class H1Session final : public EventSource, public Timer {
 public:
  H1Session(Worker& worker, UniqueFd fd, const ListenerState& listener, const SocketAddress& peer);

  // Reads at once: most clients have sent their request by the time they are accepted.
  void Start();
  void OnReady(uint32_t epoll_events) override;
  void OnResume() override;
  void OnTimer() override;
  // Advances whatever can be advanced. The only way in for exchanges, too.
  void Pump();
  // The next response is the last. Between requests the connection stays for `idle` more, in case
  // one is on its way, and is closed at once if that is zero.
  void Drain(Millis idle);
  bool tunnels() const { return exchange_ != nullptr && exchange_->tunnels(); }
  // The process ends.
  void Abandon();

  // For the exchange.
  Stream& stream() { return stream_; }
  ByteQueue& backlog() { return backlog_; }  // bytes read but not used yet
  const RouteIndex* routes() const { return listener_.routes; }
  std::string_view client_address() const { return client_address_; }
  void ResumeLater();

  std::list<std::unique_ptr<H1Session>>::iterator position;  // in the worker's list

 private:
  enum class Phase {
    kHead,      // between requests, or amid a head
    kExchange,  // a request is being answered
    kFlush,     // the last response is on its way out
    kLinger,    // all is said; takes what the client still sends, or it would be told of a reset
    kClosed,
  };

  bool ReadHead();
  // Looks for a head at the start of `bytes`: true when a request or an answer came of it.
  bool TakeHead(std::string_view bytes, bool in_backlog);
  bool RunExchange();
  void Refuse(int status, std::string_view reason);
  void FinishRequest();
  void Linger();
  void Discard();
  void Close(bool reset = false);

  Worker& worker_;
  const ListenerState& listener_;
  Stream stream_;
  ByteQueue backlog_;
  HeadScanner scanner_;
  std::unique_ptr<Exchange> exchange_;
  Phase phase_ = Phase::kHead;
  bool registered_ = false;
  bool served_ = false;        // at least one request
  bool head_pending_ = false;  // a partial head is being timed
  bool empty_line_skipped_ = false;
  char client_address_[46];
};

}  // namespace pando::proxy
