#include "proxy/net/forwarder.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "proxy/core/h1_writer.h"
#include "proxy/core/request_key.h"
#include "proxy/net/h1_session.h"
#include "proxy/net/worker.h"

namespace pando::proxy {
namespace {

constexpr size_t kMaxReplayBytes = 64 * 1024;
// Up to here copying a body behind its head is cheaper than gathering the two.
constexpr size_t kCopyBytes = 4 * 1024;
// Reads in a row before other connections get their turn.
constexpr int kMaxRounds = 16;
constexpr size_t kMaxKeptCapacity = 16 * 1024;
// A response that goes on for so long is a stream: it holds no slot of its instance any more.
constexpr Millis kStreamAfter{500};

bool IsEventStream(const ResponseHead& head) {
  constexpr std::string_view kType = "text/event-stream";
  for (const HeaderField& field : head.fields) {
    if (!EqualsIgnoreCase(field.name, "content-type")) continue;
    return field.value.size() >= kType.size() &&
           EqualsIgnoreCase(field.value.substr(0, kType.size()), kType);
  }
  return false;
}

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

size_t Exchange::Begin(H1Session& session, const RequestHead& head, std::string_view rest) {
  session_ = &session;
  state_ = State::kPicking;
  outcome_ = Outcome::kWaiting;
  method_ = head.method;
  client_minor_version_ = head.minor_version;
  idempotent_ = IsIdempotent(head.method) || head.idempotency_key;
  awaits_continue_ = head.expect_continue && head.minor_version == 1;
  wants_upgrade_ = head.upgrade;
  started_ = last_progress_ = worker_.poller().now();
  sent_seen_ = 0;
  total_deadline_ = Instant::max();
  close_client_ = !head.keep_alive || worker_.draining();
  replayable_ = true;
  attempts_ = attempts_timed_out_ = 0;
  fresh_only_ = upstream_broken_ = false;
  response_bytes_seen_ = head_sent_ = dechunk_ = silent_ = false;
  client_ended_ = upstream_ended_ = client_end_passed_ = upstream_end_passed_ = false;
  status_ = 0;
  tried_.clear();
  spare_ = 0;
  counters_ = nullptr;
  served_by_ = nullptr;
  failed_instance_.clear();
  connect_time_.reset();
  first_byte_time_.reset();
  request_body_bytes_ = response_body_bytes_ = 0;
  head_.clear();

  request_body_.Start(head.body, head.content_length);
  const size_t used = request_body_.Consume(rest);
  replay_.assign(rest.substr(0, used));
  request_body_bytes_ = used;
  request_id_.clear();
  AppendRequestId(head.request_id, worker_.random(), request_id_);
  AppendRequestHead(head, {session.origin(), session.forward_policy(), request_id_},
                    worker_.random(), head_);
  if (request_body_.failed()) {
    worker_.stats().bad_requests.Add();
    Fail(400, "a malformed chunked body");
    return used;
  }
  const Route* route =
      session.routes() == nullptr ? nullptr : session.routes()->Match(head.host, head.target);
  if (route == nullptr) {
    worker_.stats().unrouted.Add();
    Fail(404, absl::StrCat("no route for host ", View(head.host)));
    return used;
  }
  if (route->redirect.has_value()) {
    Redirect(*route->redirect, head);
    return used;
  }
  cluster_name_ = route->cluster;
  limits_ = route->limits;
  TakeKey(route->hash, head);
  const uint64_t body = std::max(head.content_length, request_body_.payload_bytes());
  if (limits_.max_body_bytes > 0 && body > limits_.max_body_bytes) {
    FailTooLarge();
    return used;
  }
  if (request_body_.done()) OnRequestEnd();
  return used;
}

void Exchange::TakeKey(const HashSource& source, const RequestHead& head) {
  hash_.reset();
  sticky_.kind = HashSource::Kind::kNone;
  if (source.kind == HashSource::Kind::kNone) return;
  const std::shared_ptr<WorkerCluster> cluster = worker_.FindCluster(cluster_name_);
  const bool sticky = cluster != nullptr && cluster->cluster->lb_policy == LbPolicy::kSticky &&
                      source.kind == HashSource::Kind::kCookie;
  hash_ = RequestKey(source, sticky, head, session_->client_address());
  if (sticky) sticky_ = source;
}

Exchange::Outcome Exchange::Run() {
  if (silent_) OnSilenceTooLong();
  while (state_ != State::kFinished) {
    const State before = state_;
    switch (state_) {
      case State::kPicking:
        StartAttempt();
        break;
      case State::kQueued:
        if (!WaitForCall()) return Outcome::kWaiting;
        break;
      case State::kConnecting:
        if (!FinishConnect()) return Outcome::kWaiting;
        break;
      case State::kStreaming:
        PumpBoth();
        break;
      case State::kTunnel:
        PumpTunnel();
        break;
      case State::kFinished:
        break;
    }
    const bool pumped = before == State::kStreaming || before == State::kTunnel;
    if (pumped && state_ == before) return Outcome::kWaiting;
  }
  return outcome_;
}

void Exchange::End() {
  if (ticket_ != 0) {
    counters_->queue.abandoned.Add();
    LeaveQueue();
  }
  ReleaseUpstream(false);
  LeaveEndpoint();
  LeaveSlot();
  if (budget_ != nullptr) std::exchange(budget_, nullptr)->retry_budget.GiveBack();
  if (counters_ != nullptr) {
    const auto code_class = static_cast<size_t>(status_ / 100);
    (served_by_ != nullptr ? served_by_->responses_by_class
                           : counters_->responses_by_class)[code_class]
        .Add();
    // A tunnel's life says nothing about how fast the app answers.
    if (status_ != 101) {
      (served_by_ != nullptr ? served_by_->timing.total : counters_->total)
          .Record(worker_.poller().now() - started_);
    }
  }
  if (worker_.access_log() != nullptr) LogAccess();
  cluster_.reset();
  counters_ = nullptr;
  served_by_ = nullptr;
  partial_.Clear();
  if (head_.capacity() > kMaxKeptCapacity) std::string().swap(head_);
  if (replay_.capacity() > kMaxKeptCapacity) std::string().swap(replay_);
  session_ = nullptr;
  state_ = State::kFinished;
}

void Exchange::OnUpstreamReady() { session_->Pump(); }

Instant Exchange::silence_deadline() const {
  const Instant silence = last_progress_ + session_->limits().stream_idle_timeout;
  if (state_ == State::kQueued) return std::min(queue_deadline_, total_deadline_);
  return state_ == State::kTunnel ? silence : std::min(silence, total_deadline_);
}

void Exchange::OnRequestEnd() {
  if (limits_.total_timeout == Millis{0}) return;
  total_deadline_ = worker_.poller().now() + limits_.total_timeout;
  worker_.poller().timers().Arm(*session_, silence_deadline());
}

// ---- both ways

void Exchange::PumpBoth() {
  PumpRequest();
  if (state_ != State::kStreaming) return;
  if (!head_sent_) NoteWhoIsDue();
  PumpResponse();
  if (state_ != State::kStreaming) return;
  if (upstream_->timed_out() && !head_sent_) {
    OnAnswerOverdue();
    return;
  }
  const uint64_t sent = session_->stream().sent_bytes() + upstream_->stream.sent_bytes();
  if (sent != sent_seen_) {
    sent_seen_ = sent;
    last_progress_ = worker_.poller().now();
  }
}

void Exchange::PumpRequest() {
  Stream& upstream = upstream_->stream;
  if (!upstream_broken_ && upstream.backed_up()) {
    const uint64_t before = upstream.sent_bytes();
    if (!upstream.Flush()) upstream_broken_ = true;
    if (upstream.sent_bytes() != before) request_moved_ = worker_.poller().now();
  }
  for (int round = 0; !request_body_.done(); ++round) {
    // An instance may refuse the rest of a body and still have an answer for us to read.
    if (upstream_broken_ || upstream.backed_up()) return;
    if (round == kMaxRounds) {
      session_->ResumeLater();
      return;
    }
    ByteQueue& backlog = session_->backlog();
    if (!backlog.empty()) {
      OnRequestBytes(backlog.view(), true);
    } else {
      std::string_view bytes;
      switch (session_->stream().Receive(worker_.poller().read_buffer(), bytes)) {
        case Stream::Result::kBytes:
          OnRequestBytes(bytes, false);
          break;
        case Stream::Result::kWait:
          return;
        case Stream::Result::kEnd:
        case Stream::Result::kError:
          Finish(Outcome::kClose);  // the client left amid its request
          return;
      }
    }
    if (state_ != State::kStreaming) return;
  }
}

// Whether it is the instance's turn, to answer or to read on; else it is the client's, to send.
bool Exchange::InstanceIsDue() const {
  if (request_body_.done() || upstream_broken_ || upstream_->stream.backed_up()) return true;
  return awaits_continue_ && request_body_bytes_ == 0 && !response_bytes_seen_;
}

void Exchange::NoteWhoIsDue() {
  const bool due = InstanceIsDue();
  if (due == unanswered_) return;
  unanswered_ = due;
  if (due) {
    ++host_->unanswered;
  } else {
    --host_->unanswered;
  }
}

// While a body flows the watch is not set anew for each of its parts: it looks at how long it has
// been once it goes off.
void Exchange::WatchForAnswer(Instant since) {
  const Millis first_byte = limits_.first_byte_timeout;
  const Millis per_try = limits_.per_try_timeout;
  TimerWheel& timers = worker_.poller().timers();
  if (first_byte == Millis{0} && per_try == Millis{0}) {
    timers.Cancel(*upstream_);
  } else if (first_byte == Millis{0} || per_try == Millis{0}) {
    timers.Arm(*upstream_, since + std::max(first_byte, per_try));
  } else {
    timers.Arm(*upstream_, since + std::min(first_byte, per_try));
  }
}

void Exchange::OnAnswerOverdue() {
  upstream_->ForgetTimeout();
  const Instant now = worker_.poller().now();
  const Millis first_byte = limits_.first_byte_timeout;
  const bool try_ends = limits_.per_try_timeout > Millis{0} &&
                        (first_byte == Millis{0} || limits_.per_try_timeout < first_byte);
  const Millis limit = try_ends ? limits_.per_try_timeout : first_byte;
  const Instant since = InstanceIsDue() ? request_moved_ : now;
  if (now < since + limit) {
    WatchForAnswer(since);
    return;
  }
  if (try_ends) ++attempts_timed_out_;
  Blame();
  AttemptFailed(try_ends ? AttemptFailure::kTryTimeout : AttemptFailure::kTooLate, 504);
}

void Exchange::OnRequestBytes(std::string_view bytes, bool from_backlog) {
  last_progress_ = request_moved_ = worker_.poller().now();
  const size_t used = request_body_.Consume(bytes);
  if (request_body_.failed()) {
    worker_.stats().bad_requests.Add();
    Fail(400, "a malformed chunked body");
    return;
  }
  if (limits_.max_body_bytes > 0 && request_body_.payload_bytes() > limits_.max_body_bytes) {
    FailTooLarge();
    return;
  }
  if (request_body_.done()) OnRequestEnd();
  const std::string_view body = bytes.substr(0, used);
  request_body_bytes_ += used;
  if (replayable_ && replay_.size() + used <= kMaxReplayBytes) {
    replay_.append(body);
  } else {
    replayable_ = false;
    std::string().swap(replay_);
  }
  if (!upstream_->stream.Send(body)) upstream_broken_ = true;
  if (from_backlog) {
    session_->backlog().Consume(used);
  } else {
    session_->backlog().Append(bytes.substr(used));
  }
}

void Exchange::PumpResponse() {
  for (int round = 0; state_ == State::kStreaming; ++round) {
    if (session_->stream().backed_up()) return;
    if (round == kMaxRounds) {
      session_->ResumeLater();
      return;
    }
    std::string_view bytes;
    switch (upstream_->stream.Receive(worker_.poller().read_buffer(), bytes)) {
      case Stream::Result::kBytes:
        OnResponseBytes(bytes);
        break;
      case Stream::Result::kWait:
        return;
      case Stream::Result::kEnd:
        OnResponseEnd(true);
        return;
      case Stream::Result::kError:
        OnResponseEnd(false);
        return;
    }
  }
}

void Exchange::OnResponseBytes(std::string_view bytes) {
  last_progress_ = worker_.poller().now();
  if (!response_bytes_seen_) {
    response_bytes_seen_ = true;
    first_byte_time_ = last_progress_ - request_moved_;
    host_->stats->timing.first_byte.Record(*first_byte_time_);
    std::string().swap(replay_);
    replayable_ = false;
  }
  if (!head_sent_) {
    TakeResponseHeads(bytes);
  } else {
    // Whoever is still at it sends as it pleases and computes for others meanwhile.
    if (slot_ != nullptr && last_progress_ - response_started_ > kStreamAfter) LeaveSlot();
    SendBody(bytes, {});
  }
}

// Any number of interim heads, then the final one.
void Exchange::TakeResponseHeads(std::string_view bytes) {
  const bool kept = !partial_.empty();
  if (kept) {
    partial_.Append(bytes);
    bytes = partial_.view();
  }
  while (true) {
    const HeadScanner::Result result = scanner_.Scan(bytes);
    const size_t size = result == HeadScanner::Result::kComplete ? scanner_.size() : bytes.size();
    if (result == HeadScanner::Result::kBad || size > session_->limits().max_head_bytes) break;
    if (result == HeadScanner::Result::kIncomplete) {
      if (kept) {
        partial_.Consume(partial_.size() - bytes.size());
      } else {
        partial_.Append(bytes);
      }
      return;
    }
    ResponseHead& head = worker_.response_head();
    if (ParseResponseHead(bytes.substr(0, size), method_, head)) break;
    if (head.status == 101) {
      if (!wants_upgrade_ || !head.upgrade || !request_body_.done()) break;
      StartTunnel(head, bytes.substr(size));
      return;
    }
    if (head.status >= 200) {
      StartResponse(head, bytes.substr(size));
      return;
    }
    if (client_minor_version_ == 1) {
      std::string& scratch = worker_.scratch();
      scratch.clear();
      AppendResponseHead(head, {}, scratch);
      if (!session_->stream().Send(scratch)) {
        Finish(Outcome::kClose);
        return;
      }
    }
    bytes.remove_prefix(size);
    scanner_.Reset();
    if (bytes.empty()) {
      partial_.Clear();
      return;
    }
  }
  AttemptFailed(AttemptFailure::kResponseStarted, 502);
}

void Exchange::NoteAnswer() {
  worker_.poller().timers().Cancel(*upstream_);
  if (std::exchange(unanswered_, false)) --host_->unanswered;
  host_->suspicion.OnSuccess();
  host_->counters->answered_at.store(worker_.poller().now().time_since_epoch().count(),
                                     std::memory_order_relaxed);
}

void Exchange::StartResponse(const ResponseHead& head, std::string_view body) {
  NoteAnswer();
  NoteStatus(head.status);
  response_started_ = worker_.poller().now();
  if (slot_ != nullptr && IsEventStream(head)) LeaveSlot();
  served_by_ = host_->stats.get();
  response_body_.Start(head.body, head.content_length);
  upstream_keep_alive_ = head.keep_alive;
  app_limit_.reset();
  if (head.keep_alive_seconds.has_value()) {
    app_limit_ = Millis{int64_t{1'000} * *head.keep_alive_seconds};
  }
  dechunk_ = head.body == BodyKind::kChunked && client_minor_version_ == 0;
  close_client_ = close_client_ || !request_body_.done() || dechunk_ ||
                  head.body == BodyKind::kUntilClose || worker_.draining();
  status_ = head.status;
  std::string& scratch = worker_.scratch();
  scratch.clear();
  AppendResponseHead(head, {client_minor_version_, close_client_, dechunk_}, scratch);
  if (sticky_.kind != HashSource::Kind::kNone) AddStickyCookie(scratch);
  SendBody(body, scratch);
  partial_.Clear();
}

// Sends `head`, if any, together with what of `bytes` belongs to the body.
void Exchange::SendBody(std::string_view bytes, std::string_view head) {
  std::string& payload = worker_.body_scratch();
  payload.clear();
  const size_t used = response_body_.Consume(bytes, dechunk_ ? &payload : nullptr);
  if (response_body_.failed()) {
    if (head_sent_) {
      CutShort();
    } else {
      status_ = 0;
      AttemptFailed(AttemptFailure::kResponseStarted, 502);
    }
    return;
  }
  std::string_view body = dechunk_ ? std::string_view(payload) : bytes.substr(0, used);
  response_body_bytes_ += body.size();
  if (!head.empty() && body.size() <= kCopyBytes) {
    std::string& scratch = worker_.scratch();  // which holds `head`
    scratch.append(body);
    head = scratch;
    body = {};
  }
  head_sent_ = true;
  const bool sent =
      head.empty() ? session_->stream().Send(body) : session_->stream().Send(head, body);
  if (!sent) {
    Finish(Outcome::kClose);
  } else if (response_body_.done()) {
    FinishResponse(used < bytes.size());
  }
}

void Exchange::OnResponseEnd(bool clean) {
  if (!response_bytes_seen_) {
    const bool reused = upstream_->reused();
    if (!reused) Blame();
    AttemptFailed(reused ? AttemptFailure::kReusedClosed : AttemptFailure::kNoResponse, 502);
  } else if (!head_sent_) {
    AttemptFailed(AttemptFailure::kResponseStarted, 502);
  } else if (clean && response_body_.kind() == BodyKind::kUntilClose) {
    FinishResponse(false);
  } else {
    CutShort();
  }
}

void Exchange::FinishResponse(bool leftover) {
  const bool reusable = upstream_keep_alive_ && !leftover && request_body_.done() &&
                        !upstream_broken_ && !upstream_->stream.backed_up();
  ReleaseUpstream(reusable);
  Finish(Outcome::kDone);
}

// ---- after 101

void Exchange::StartTunnel(const ResponseHead& head, std::string_view rest) {
  NoteAnswer();
  NoteStatus(101);
  // A tunnel is open for as long as it likes: it would hold others up, and says nothing of how long
  // the app takes.
  answered_ = false;
  LeaveSlot();
  tunnelled_ = true;
  host_->counters->tunnels.fetch_add(1, std::memory_order_relaxed);
  served_by_ = host_->stats.get();
  status_ = 101;
  head_sent_ = true;
  close_client_ = true;
  std::string& scratch = worker_.scratch();
  scratch.clear();
  AppendResponseHead(head, {}, scratch);
  const bool sent = session_->stream().Send(scratch, rest);
  partial_.Clear();
  if (!sent) {
    Finish(Outcome::kClose);
    return;
  }
  state_ = State::kTunnel;
}

namespace {

// Moves what `from` has to `to` until one of them has to wait. False: one of them is broken.
// `more` is set when the turn ended before that.
bool MoveBytes(Stream& from, Stream& to, std::span<char> buffer, bool& ended, bool& more) {
  for (int round = 0; !ended && !to.backed_up(); ++round) {
    if (round == kMaxRounds) {
      more = true;
      return true;
    }
    std::string_view bytes;
    switch (from.Receive(buffer, bytes)) {
      case Stream::Result::kBytes:
        if (!to.Send(bytes)) return false;
        break;
      case Stream::Result::kWait:
        return true;
      case Stream::Result::kEnd:
        ended = true;
        break;
      case Stream::Result::kError:
        return false;
    }
  }
  return true;
}

}  // namespace

void Exchange::PumpTunnel() {
  Stream& client = session_->stream();
  Stream& upstream = upstream_->stream;
  ByteQueue& backlog = session_->backlog();
  bool intact = upstream.Flush();
  if (intact && !backlog.empty() && !upstream.backed_up()) {
    intact = upstream.Send(backlog.view());
    backlog.Clear();
  }
  const std::span<char> buffer = worker_.poller().read_buffer();
  bool more = false;
  intact = intact && MoveBytes(client, upstream, buffer, client_ended_, more) &&
           MoveBytes(upstream, client, buffer, upstream_ended_, more);
  if (!intact) {
    Finish(Outcome::kClose);
    return;
  }
  if (more) session_->ResumeLater();
  if (client_ended_ && !client_end_passed_ && !upstream.backed_up()) {
    upstream.ShutdownWrite();
    client_end_passed_ = true;
  }
  if (upstream_ended_ && !upstream_end_passed_ && !client.backed_up()) {
    client.ShutdownWrite();
    upstream_end_passed_ = true;
  }
  if (client_end_passed_ && upstream_end_passed_) {
    Finish(Outcome::kClose);
    return;
  }
  last_progress_ = worker_.poller().now();
}

// ---- the end

// Ends a response before its end, so that the client sees that it is not whole.
void Exchange::CutShort() {
  counters_->cut_responses.Add();
  const bool ends_by_close = response_body_.kind() == BodyKind::kUntilClose || dechunk_;
  Finish(head_sent_ && ends_by_close ? Outcome::kReset : Outcome::kClose);
}

void Exchange::OnSilenceTooLong() {
  silent_ = false;
  if (state_ == State::kQueued) {
    counters_->queue.timeouts.Add();
    LeaveQueue();
    Fail(503, absl::StrCat("no instance of ", cluster_name_, " had room in time"));
    return;
  }
  if (head_sent_) {
    // What a client has not taken in all that time it will not take now.
    if (session_->stream().backed_up()) {
      worker_.stats().slow_clients.Add();
      Finish(Outcome::kReset);
    } else {
      CutShort();
    }
    return;
  }
  if (state_ == State::kStreaming && !InstanceIsDue()) {
    worker_.stats().bad_requests.Add();
    Fail(408, "the request's body did not arrive in time");
    return;
  }
  if (counters_ != nullptr) counters_->upstream_failures.Add();
  // Not one that the request had little time left for, after a queue or another instance.
  const auto had = worker_.poller().now() - request_moved_;
  const bool had_time =
      worker_.poller().now() < total_deadline_ || 2 * had >= limits_.total_timeout;
  if (unanswered_ && had_time) Blame();
  Fail(504, absl::StrCat("an instance of ", cluster_name_, " did not answer in time"));
}

void Exchange::FailTooLarge() {
  worker_.stats().bad_requests.Add();
  Fail(413, absl::StrCat("the request's body is larger than ", limits_.max_body_bytes, " bytes"));
}

void Exchange::Fail(int status, std::string_view text) {
  if (head_sent_) {
    CutShort();
    return;
  }
  close_client_ = close_client_ || worker_.draining();
  status_ = status;
  std::string& scratch = worker_.scratch();
  scratch.clear();
  AppendOwnResponse({status, text, closes_client(), method_ == Method::kHead}, scratch);
  Finish(session_->stream().Send(scratch) ? Outcome::kDone : Outcome::kClose);
}

void Exchange::Redirect(const HttpsRedirect& redirect, const RequestHead& head) {
  std::string_view host = head.host;
  // Not the colons within an IPv6 address.
  if (const size_t colon = host.rfind(':');
      colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos) {
    host = host.substr(0, colon);
  }
  if (host.empty()) {
    Fail(400, "a request without Host cannot be sent to HTTPS");
    return;
  }
  std::string location = absl::StrCat("https://", View(host));
  if (redirect.port != 0 && redirect.port != 443) absl::StrAppend(&location, ":", redirect.port);
  absl::StrAppend(&location, head.target.starts_with('/') ? View(head.target) : "/");
  close_client_ = close_client_ || worker_.draining();
  status_ = redirect.status;
  std::string& scratch = worker_.scratch();
  scratch.clear();
  AppendOwnResponse(
      {status_, "this site speaks HTTPS", closes_client(), method_ == Method::kHead, location},
      scratch);
  Finish(session_->stream().Send(scratch) ? Outcome::kDone : Outcome::kClose);
}

void Exchange::Finish(Outcome outcome) {
  ReleaseUpstream(false);
  LeaveEndpoint();
  LeaveSlot();
  outcome_ = outcome;
  state_ = State::kFinished;
}

}  // namespace pando::proxy
