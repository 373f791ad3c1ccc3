// One attempt of a request: pick an instance or wait for one, get a connection to it, send; and
// what comes of an attempt that failed.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "proxy/core/load.h"
#include "proxy/core/outlier.h"
#include "proxy/core/peak_ewma.h"
#include "proxy/core/request_key.h"
#include "proxy/core/stable_hash.h"
#include "proxy/net/forwarder.h"
#include "proxy/net/h1_session.h"
#include "proxy/net/worker.h"

namespace pando::proxy {

bool Exchange::FindCluster() {
  // Always by the newest table: an endpoint that drains must get nothing new, retries included.
  cluster_ = worker_.FindCluster(cluster_name_);
  if (cluster_ == nullptr) return false;
  counters_ = &cluster_->counters;
  return true;
}

ClusterPicker::Picked Exchange::PickEndpoint() {
  ClusterPicker::Context context = worker_.PickContext(*cluster_);
  context.exclude = tried_;
  context.spare = spare_;
  context.hash = hash_;
  context.slots = cluster_->shared->slots();
  return cluster_->picker.Pick(context);
}

void Exchange::StartAttempt() {
  if (!FindCluster()) {
    Fail(503, absl::StrCat("no instance of ", cluster_name_, " is ready"));
    return;
  }
  const bool limited = cluster_->limits_slots();
  if (limited && attempts_ == 0 && cluster_->shared->room.waiting() > 0) {
    JoinQueue();  // behind those who came first
    return;
  }
  while (true) {
    const ClusterPicker::Picked picked = PickEndpoint();
    if (picked.index.has_value()) {
      const std::shared_ptr<EndpointCounters>& counters = cluster_->hosts[*picked.index]->counters;
      if (limited) {
        // Another worker may have been faster.
        if (!TryTakeSlot(*counters, cluster_->shared->slots())) continue;
        slot_ = counters;
        slot_taken_ = worker_.poller().now();
      }
      StartOn(*picked.index);
      return;
    }
    if (picked.full) {
      JoinQueue();
      return;
    }
    break;
  }
  if (attempts_ > 0) {
    counters_->upstream_failures.Add();
    Fail(failure_status_, absl::StrCat("no other instance of ", cluster_name_, " is ready"));
    return;
  }
  counters_->no_endpoint.Add();
  Fail(503, absl::StrCat("no instance of ", cluster_name_, " is ready"));
}

// ---- waiting for an instance with room

WaitingRoom::Ticket Exchange::TicketOf(uint64_t id) const {
  return {id, worker_.index(), hash_, tried_, spare_};
}

void Exchange::JoinQueue() {
  const QueueLimits& limits = cluster_->cluster->queue;
  const uint64_t ticket = worker_.NewTicket(*this);
  // Another try takes a slot like any request, but has had its turn: it waits before all others.
  if (attempts_ > 0) {
    cluster_->shared->room.JoinToRetry(TicketOf(ticket));
  } else if (!cluster_->shared->room.Join(TicketOf(ticket), limits.max)) {
    worker_.ForgetTicket(ticket);
    counters_->queue.full.Add();
    Fail(503, absl::StrCat("too many requests wait for an instance of ", cluster_name_));
    return;
  }
  ticket_ = ticket;
  queued_at_ = last_progress_ = worker_.poller().now();
  queue_deadline_ = queued_at_ + limits.timeout;
  counters_->queue.queued.Add();
  counters_->queue.waiting.Add();
  state_ = State::kQueued;
  worker_.poller().timers().Arm(*session_, silence_deadline());
  // Room may have been given back before anybody could see that this one waits.
  worker_.ServeQueue(*cluster_);
}

// Out of the queue, and what was given meanwhile back. False: it was not in it.
bool Exchange::LeaveQueue() {
  if (ticket_ == 0) return false;
  const uint64_t ticket = std::exchange(ticket_, 0);
  counters_->queue.waiting.Subtract(1);
  worker_.ForgetTicket(ticket);
  if (const auto called = std::exchange(called_, nullptr)) {
    GiveSlotBack(*called);
    worker_.ServeQueue(*cluster_);
  } else if (!std::exchange(called_in_vain_, false)) {
    // Called by another worker, and its word on the way: Worker::Call gives the slot back.
    cluster_->shared->room.Leave(ticket);
  }
  return true;
}

void Exchange::OnCalled(std::shared_ptr<EndpointCounters> endpoint) {
  called_ = std::move(endpoint);
  called_in_vain_ = called_ == nullptr;
  session_->ResumeLater();
}

// False: it still has to wait.
bool Exchange::WaitForCall() {
  if (called_ == nullptr && !called_in_vain_) {
    // Nobody waits for the answer any more. (A client that only ended its side looks the same: such
    // a one is served if it need not wait.)
    if (!session_->stream().peer_closed() && !session_->stream().failed()) return false;
    counters_->queue.abandoned.Add();
    LeaveQueue();
    Finish(Outcome::kClose);
    return true;
  }
  const std::shared_ptr<EndpointCounters> called = std::exchange(called_, nullptr);
  const uint64_t ticket = std::exchange(ticket_, 0);
  ClusterCounters& joined = *counters_;
  if (std::exchange(called_in_vain_, false)) {
    joined.queue.waiting.Subtract(1);
    worker_.ForgetTicket(ticket);
    state_ = State::kPicking;  // which says what has become of it
    return true;
  }
  const std::shared_ptr<WorkerCluster> newest = worker_.FindCluster(cluster_name_);
  const std::optional<uint32_t> index = newest == nullptr ? std::nullopt : newest->IndexOf(*called);
  if (!index.has_value()) {
    // The instance began to drain meanwhile: back to the head of the queue.
    GiveSlotBack(*called);
    if (newest == nullptr) {
      joined.queue.waiting.Subtract(1);
      worker_.ForgetTicket(ticket);
      Fail(503, absl::StrCat("no instance of ", cluster_name_, " is ready"));
      return true;
    }
    ticket_ = ticket;
    cluster_ = newest;
    cluster_->shared->room.JoinAgain(TicketOf(ticket));
    worker_.ServeQueue(*cluster_);
    return called_ != nullptr || called_in_vain_;
  }
  cluster_ = newest;
  joined.queue.waiting.Subtract(1);
  worker_.ForgetTicket(ticket);
  slot_ = called;
  slot_taken_ = worker_.poller().now();
  counters_->queue.wait.Record(slot_taken_ - queued_at_);
  StartOn(*index);
  return true;
}

void Exchange::LeaveSlot() {
  if (slot_ == nullptr) return;
  const std::shared_ptr<EndpointCounters> slot = std::exchange(slot_, nullptr);
  if (answered_) {
    const auto held = worker_.poller().now() - slot_taken_;
    slot->service_micros.fetch_add(
        static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(held).count()),
        std::memory_order_relaxed);
    slot->answered.fetch_add(1, std::memory_order_relaxed);
  }
  GiveSlotBack(*slot);
  if (cluster_ != nullptr && cluster_->shared->room.waiting() > 0) worker_.ServeQueue(*cluster_);
}

// ---- on an instance

void Exchange::StartOn(uint32_t index) {
  host_ = cluster_->hosts[index];
  worker_.pool().AddUser(*host_);
  host_->counters->in_flight.fetch_add(1, std::memory_order_relaxed);
  answered_ = false;
  worker_.StartChecks();
  ++attempts_;
  attempt_started_ = worker_.poller().now();
  connect_time_.reset();
  tried_.push_back(host_->counters.get());

  if (!fresh_only_) upstream_ = worker_.pool().Take(*host_, *this);
  // What cannot be sent twice is not sent on a connection that has been closed but not yet
  // reported as such.
  while (upstream_ != nullptr && !idempotent_ && upstream_->stream.HasUnexpectedInput()) {
    ReleaseUpstream(false);
    upstream_ = worker_.pool().Take(*host_, *this);
  }
  if (upstream_ != nullptr) {
    SendFromStart();
    return;
  }
  absl::StatusOr<UpstreamConnection*> connection =
      worker_.pool().Connect(*host_, *this, cluster_->cluster->connect_timeout);
  if (!connection.ok()) {
    counters_->connect_failures.Add();
    // Out of descriptors or ports is this machine's fault, not the instance's.
    if (connection.status().code() == absl::StatusCode::kUnavailable) Blame();
    AttemptFailed(AttemptFailure::kNotSent, 502);
    return;
  }
  upstream_ = *connection;
  state_ = State::kConnecting;
}

bool Exchange::FinishConnect() {
  const std::optional<bool> connected = upstream_->ConnectResult();
  if (!connected.has_value() && !upstream_->timed_out()) return false;
  if (connected.value_or(false)) {
    counters_->connects.Add();
    connect_time_ = worker_.poller().now() - attempt_started_;
    host_->stats->timing.connect.Record(*connect_time_);
    SendFromStart();
    return true;
  }
  counters_->connect_failures.Add();
  Blame();
  AttemptFailed(AttemptFailure::kNotSent, connected.has_value() ? 502 : 504);
  return true;
}

void Exchange::SendFromStart() {
  state_ = State::kStreaming;
  scanner_.Reset();
  partial_.Clear();
  upstream_broken_ = false;
  upstream_->ForgetTimeout();  // of connecting
  last_progress_ = request_moved_ = attempt_started_ = worker_.poller().now();
  Stream& upstream = upstream_->stream;
  const uint64_t sent_before = upstream.sent_bytes();
  if (!upstream.Send(head_, replay_)) {
    if (upstream.sent_bytes() == sent_before) {
      AttemptFailed(AttemptFailure::kNotSent, 502);
      return;
    }
    upstream_broken_ = true;
  }
  WatchForAnswer(request_moved_);
}

bool Exchange::TakeFromBudget() {
  if (budget_ != nullptr) return true;
  SharedCluster& shared = *cluster_->shared;
  // This one has left its instance already.
  const uint64_t active = ActiveRequests(*cluster_->cluster) + shared.room.waiting() + 1;
  if (!shared.retry_budget.TryTake(active)) return false;
  budget_ = cluster_->shared;
  return true;
}

void Exchange::AttemptFailed(AttemptFailure failure, int status) {
  // A kept connection says little of its instance, unless it stood and nothing came.
  const bool kept =
      upstream_ != nullptr && upstream_->reused() && failure != AttemptFailure::kTryTimeout;
  if (kept) {
    ++spare_;
  } else {
    std::swap(tried_.back(), tried_[tried_.size() - 1 - spare_]);
  }
  fresh_only_ = fresh_only_ || kept;
  host_->stats->failures.Add();
  // What it said was no answer. All other failures are blamed where they are seen.
  if (failure == AttemptFailure::kResponseStarted) NoteFailedAttempt();
  if (worker_.access_log() != nullptr) failed_instance_ = host_->stats->name;
  served_by_ = nullptr;
  ReleaseUpstream(false);
  LeaveEndpoint();
  LeaveSlot();
  const RetryQuestion question{failure, idempotent_, replayable_, attempts_, attempts_timed_out_};
  // An attempt that reached nobody put no load on anybody.
  if (MayRetry(question) && (failure == AttemptFailure::kNotSent || TakeFromBudget())) {
    counters_->retries.Add();
    failure_status_ = status;
    state_ = State::kPicking;
    return;
  }
  counters_->upstream_failures.Add();
  Fail(status, status == 504
                   ? absl::StrCat("an instance of ", cluster_name_, " did not answer in time")
                   : absl::StrCat("an instance of ", cluster_name_, " failed to answer"));
}

void Exchange::Blame() {
  const Instant now = worker_.poller().now();
  host_->suspicion.OnFailure(now);
  NoteFailedAttempt();
  host_->counters->unreachable_at.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  if (cluster_ != nullptr) {
    cluster_->suspicion_until = std::max(cluster_->suspicion_until, host_->suspicion.until());
  }
}

void Exchange::NoteFailedAttempt() {
  if (!NoteFailure(*cluster_->cluster, *host_->counters, true, worker_.poller().now())) return;
  host_->stats->ejections.Add();
  cluster_->shared->NoteEjection(*host_->counters);
}

// What the instance's answer says of it.
void Exchange::NoteStatus(int status) {
  if (status < 500) {
    answered_ = true;
    NoteSuccess(*host_->counters);
    if (cluster_->cluster->lb_policy == LbPolicy::kPeakEwma && first_byte_time_.has_value()) {
      PeakEwma::Observe(*host_->counters, *first_byte_time_, worker_.poller().now());
    }
    if (slot_ == nullptr) host_->counters->answered.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  // An app that says 500 did answer; what stands in front of it says the others.
  const bool gateway_failure = status >= 502 && status <= 504;
  if (!NoteFailure(*cluster_->cluster, *host_->counters, gateway_failure, worker_.poller().now())) {
    return;
  }
  host_->stats->ejections.Add();
  cluster_->shared->NoteEjection(*host_->counters);
}

void Exchange::ReleaseUpstream(bool reusable) {
  if (upstream_ == nullptr) return;
  UpstreamConnection& connection = *std::exchange(upstream_, nullptr);
  connection.CountBytes();
  if (reusable) {
    worker_.pool().Release(connection, app_limit_);
  } else {
    worker_.pool().Close(connection);
  }
}

void Exchange::LeaveEndpoint() {
  if (host_ == nullptr) return;
  UpstreamHost& host = *std::exchange(host_, nullptr);
  if (std::exchange(unanswered_, false)) --host.unanswered;
  if (std::exchange(tunnelled_, false)) {
    host.counters->tunnels.fetch_sub(1, std::memory_order_relaxed);
  }
  // Release: who reads zero also sees everything this request has done.
  const uint32_t before = host.counters->in_flight.fetch_sub(1, std::memory_order_acq_rel);
  if (before == 1 && !host.pickable) worker_.NoteDrained();
  worker_.pool().RemoveUser(host);
}

// Before the empty line that ends `head`.
void Exchange::AddStickyCookie(std::string& head) {
  const std::optional<uint32_t> index = cluster_->IndexOf(*host_->counters);
  if (!index.has_value()) return;
  if (hash_ == EndpointHash(cluster_->cluster->endpoints[*index])) return;  // it knows
  const std::string id = StickyId(cluster_->cluster->endpoints[*index]);
  head.resize(head.size() - 2);
  absl::StrAppend(&head, "Set-Cookie: ", sticky_.name, "=", id, "; Path=/; HttpOnly; SameSite=Lax");
  if (sticky_.cookie_ttl > Millis{0}) {
    absl::StrAppend(&head, "; Max-Age=", sticky_.cookie_ttl.count() / 1'000);
  }
  if (session_->stream().secure()) absl::StrAppend(&head, "; Secure");
  absl::StrAppend(&head, "\r\n\r\n");
}

}  // namespace pando::proxy
