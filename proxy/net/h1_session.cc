#include "proxy/net/h1_session.h"

#include <sys/epoll.h>

#include <algorithm>

#include "proxy/core/h1_writer.h"
#include "proxy/core/proxy_protocol.h"
#include "proxy/net/worker.h"

namespace pando::proxy {
namespace {

constexpr Millis kLingerTime{2'000};
// A client that just connected has its first request on the way, most likely.
constexpr Millis kFirstRequestGrace{1'000};
constexpr int kMaxRounds = 16;

template <class T>
std::string_view BytesOf(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

IpAddress IpOf(const SocketAddress& address) {
  if (address.get()->sa_family == AF_INET6) {
    return IpFromBytes(BytesOf(reinterpret_cast<const sockaddr_in6*>(&address.storage)->sin6_addr));
  }
  return IpFromBytes(BytesOf(reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_addr));
}

}  // namespace

H1Session::H1Session(Worker& worker, UniqueFd fd, const ListenerState& listener,
                     const SocketAddress& peer)
    : worker_(worker), listener_(listener), stream_(std::move(fd)) {
  SetPeer(IpOf(peer));
  if (listener.proxy_protocol) {
    phase_ = Phase::kPreamble;
  } else {
    StartTlsIfWanted();
  }
}

void H1Session::SetPeer(const IpAddress& address) {
  peer_ = FormatIp(address);
  peer_trusted_ = listener_.forward.Trusts(address);
}

void H1Session::StartTlsIfWanted() {
  if (listener_.tls != nullptr) stream_.StartTls(listener_.tls, worker_.tls());
}

void H1Session::Start() {
  Poller& poller = worker_.poller();
  poller.timers().Arm(*this, poller.now() + listener_.limits.head_timeout);
  Pump();
  if (!stream_.open()) return;
  if (!poller.Add(stream_.fd(), *this, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET).ok()) Close();
}

void H1Session::OnReady(uint32_t epoll_events) {
  if (!stream_.open()) return;  // closed earlier in this batch
  stream_.NoteEvents(epoll_events);
  Pump();
}

void H1Session::OnResume() { Pump(); }

void H1Session::ResumeLater() { worker_.poller().Resume(*this); }

void H1Session::OnTimer() {
  Poller& poller = worker_.poller();
  switch (phase_) {
    case Phase::kPreamble:
      Close();
      return;
    case Phase::kHead:
      if (head_pending_) {
        Refuse(408, "the request's head did not arrive in time");
        Pump();
      } else {
        Close();
      }
      return;
    case Phase::kExchange:
      if (poller.now() >= exchange_->silence_deadline()) {
        exchange_->OnSilence();
        Pump();
      } else {
        poller.timers().Arm(*this, exchange_->silence_deadline());
      }
      return;
    case Phase::kFlush:
      worker_.stats().slow_clients.Add();
      Close(true);  // the client reads no more, and must not take this for the end
      return;
    case Phase::kLinger:
      Close();
      return;
    case Phase::kClosed:
      return;
  }
}

void H1Session::Pump() {
  while (true) {
    switch (phase_) {
      case Phase::kPreamble:
        if (!ReadPreamble()) return;
        break;
      case Phase::kHead:
        if (!ReadHead()) return;
        break;
      case Phase::kExchange:
        if (!RunExchange()) return;
        break;
      case Phase::kFlush:
        if (!stream_.Flush()) {
          Close();
          return;
        }
        if (stream_.backed_up()) return;
        Linger();
        break;
      case Phase::kLinger:
        Discard();
        return;
      case Phase::kClosed:
        return;
    }
  }
}

// Takes the header alone: what follows it may be anything, and is read as if it had come first.
bool H1Session::ReadPreamble() {
  std::string_view bytes;
  const Stream::Result result = stream_.Peek(worker_.poller().read_buffer(), bytes);
  if (result == Stream::Result::kWait) return false;
  const ProxyHeader header = ReadProxyHeader(bytes);
  switch (header.result) {
    case ProxyHeader::Result::kIncomplete:
      if (result == Stream::Result::kBytes && !stream_.peer_closed()) return false;
      break;  // no more of it will come
    case ProxyHeader::Result::kBad:
      worker_.stats().bad_requests.Add();
      break;
    case ProxyHeader::Result::kComplete:
      if (!stream_.Skip(header.size)) break;
      if (header.source) SetPeer(*header.source);
      StartTlsIfWanted();
      phase_ = Phase::kHead;
      return true;
  }
  // Whoever speaks differently here is not the balancer, and has no answer coming.
  Close(true);
  return false;
}

bool H1Session::ReadHead() {
  // The last response first: whoever does not read gets no more to read.
  if (!stream_.Flush()) {
    Close();
    return false;
  }
  if (stream_.backed_up()) return false;
  if (!backlog_.empty() && TakeHead(backlog_.view(), true)) return true;
  while (true) {
    std::string_view bytes;
    switch (stream_.Receive(worker_.poller().read_buffer(), bytes)) {
      case Stream::Result::kBytes:
        break;
      case Stream::Result::kWait:
        return false;
      case Stream::Result::kEnd:
      case Stream::Result::kError:
        Close();
        return false;
    }
    if (backlog_.empty()) {
      if (TakeHead(bytes, false)) return true;
    } else {
      backlog_.Append(bytes);
      if (TakeHead(backlog_.view(), true)) return true;
    }
  }
}

bool H1Session::TakeHead(std::string_view bytes, bool in_backlog) {
  // RFC 9112 2.2: some clients end a body with one CRLF too many.
  if (!empty_line_skipped_ && bytes.starts_with("\r\n")) {
    empty_line_skipped_ = true;
    bytes.remove_prefix(2);
    if (in_backlog) {
      backlog_.Consume(2);
      bytes = backlog_.view();
    }
    scanner_.Reset();
    if (bytes.empty()) return false;
  }
  const bool lone_cr = !empty_line_skipped_ && bytes == "\r";
  const auto result = lone_cr ? HeadScanner::Result::kIncomplete : scanner_.Scan(bytes);
  const HttpLimits& limits = listener_.limits;
  const size_t size = result == HeadScanner::Result::kComplete ? scanner_.size() : bytes.size();
  if (result == HeadScanner::Result::kBad) {
    Refuse(400, "a malformed request head");
    return true;
  }
  const size_t line = scanner_.first_line_size() > 0 ? scanner_.first_line_size() : bytes.size();
  if (line > std::min(limits.max_request_line_bytes, limits.max_head_bytes)) {
    Refuse(414, "the request line is too long");
    return true;
  }
  if (size > limits.max_head_bytes) {
    Refuse(431, "the request's head is too large");
    return true;
  }
  if (result == HeadScanner::Result::kIncomplete) {
    if (!in_backlog) backlog_.Append(bytes);
    if (!head_pending_) {
      head_pending_ = true;
      Poller& poller = worker_.poller();
      poller.timers().Arm(*this, poller.now() + listener_.limits.head_timeout);
    }
    return false;
  }
  RequestHead& head = worker_.request_head();
  if (const HeadError error = ParseRequestHead(bytes.substr(0, size), head, limits.max_fields)) {
    Refuse(error.status, error.reason);
    return true;
  }
  exchange_ = worker_.TakeExchange();
  phase_ = Phase::kExchange;
  served_ = true;
  head_pending_ = empty_line_skipped_ = false;
  scanner_.Reset();
  const size_t used = size + exchange_->Begin(*this, head, bytes.substr(size));
  if (in_backlog) {
    backlog_.Consume(used);
  } else {
    backlog_.Append(bytes.substr(used));
  }
  worker_.poller().timers().Arm(*this, exchange_->silence_deadline());
  return true;
}

bool H1Session::RunExchange() {
  Exchange::Outcome outcome = Exchange::Outcome::kClose;
  if (!stream_.failed() && stream_.Flush()) outcome = exchange_->Run();
  if (outcome == Exchange::Outcome::kWaiting) return false;
  const bool close = exchange_->closes_client();
  exchange_->End();
  worker_.GiveBack(std::move(exchange_));
  switch (outcome) {
    case Exchange::Outcome::kWaiting:
      break;
    case Exchange::Outcome::kDone:
      FinishRequest();
      if (close || (worker_.draining() && backlog_.empty() && stream_.backed_up())) {
        phase_ = Phase::kFlush;
      } else if (worker_.draining()) {
        // The head of this response, sent before, promised the client one more request.
        Drain(worker_.drain_idle());
      }
      break;
    case Exchange::Outcome::kClose:
      stream_.WithholdEnd();
      FinishRequest();
      phase_ = Phase::kFlush;
      break;
    case Exchange::Outcome::kReset:
      Close(true);
      break;
  }
  return true;
}

void H1Session::FinishRequest() {
  phase_ = Phase::kHead;
  Poller& poller = worker_.poller();
  poller.timers().Arm(*this, poller.now() + listener_.limits.client_idle_timeout);
}

void H1Session::Refuse(int status, std::string_view reason) {
  worker_.stats().bad_requests.Add();
  if (worker_.access_log() != nullptr) LogRefusal(status);
  std::string& scratch = worker_.scratch();
  scratch.clear();
  AppendOwnResponse({status, reason, true, false}, scratch);
  stream_.Send(scratch);  // if this fails, flushing will
  FinishRequest();
  phase_ = Phase::kFlush;
}

// Of a head that cannot be read nothing is said but that it came.
void H1Session::LogRefusal(int status) {
  AccessEntry entry;
  entry.ended = worker_.poller().now();
  entry.record.client = client_address();
  entry.record.secure = stream_.secure();
  entry.record.status = status;
  worker_.access_log()->Put(worker_.index(), entry);
}

void H1Session::Drain(Millis idle) {
  if (phase_ != Phase::kHead || !backlog_.empty() || stream_.backed_up()) return;
  if (!served_) idle = std::max(idle, kFirstRequestGrace);
  if (idle > Millis{0}) {
    Poller& poller = worker_.poller();
    poller.timers().Arm(*this, poller.now() + idle);
    return;
  }
  // A request that is already here gets its answer.
  if (!stream_.HasUnexpectedInput()) Close();
}

void H1Session::Abandon() {
  // A response cut short must not look like a whole one.
  if (phase_ != Phase::kClosed) Close(phase_ == Phase::kExchange);
}

void H1Session::Linger() {
  // With nothing left unread a plain close ends the connection in good order.
  if (stream_.failed() || stream_.peer_closed() || (!stream_.readable() && backlog_.empty())) {
    Close();
    return;
  }
  backlog_.Clear();
  stream_.ShutdownWrite();
  phase_ = Phase::kLinger;
  Poller& poller = worker_.poller();
  poller.timers().Arm(*this, poller.now() + kLingerTime);
}

void H1Session::Discard() {
  for (int round = 0; round < kMaxRounds; ++round) {
    std::string_view bytes;
    switch (stream_.Receive(worker_.poller().read_buffer(), bytes)) {
      case Stream::Result::kBytes:
        break;
      case Stream::Result::kWait:
        return;
      case Stream::Result::kEnd:
      case Stream::Result::kError:
        Close();
        return;
    }
  }
  ResumeLater();
}

void H1Session::Close(bool reset) {
  phase_ = Phase::kClosed;
  if (exchange_ != nullptr) {
    exchange_->End();
    worker_.GiveBack(std::move(exchange_));
  }
  worker_.poller().timers().Cancel(*this);
  if (reset) {
    stream_.CloseWithReset();
  } else {
    stream_.Close();
  }
  worker_.Remove(*this);  // this object lives until the batch's end
}

}  // namespace pando::proxy
