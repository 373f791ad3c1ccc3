// One attempt of a request: pick an instance, get a connection to it, send; and what comes of an
// attempt that failed.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "proxy/net/forwarder.h"
#include "proxy/net/h1_session.h"
#include "proxy/net/worker.h"

namespace pando::proxy {

std::optional<uint32_t> Exchange::PickEndpoint() {
  // Always by the newest table: an endpoint that drains must get nothing new, retries included.
  cluster_ = worker_.FindCluster(cluster_name_);
  if (cluster_ == nullptr) return std::nullopt;
  counters_ = &cluster_->counters;
  ClusterPicker::Context context;
  context.exclude = tried_;
  const Instant now = worker_.poller().now();
  if (now < cluster_->suspicion_until) {
    std::vector<uint8_t>& avoid = worker_.avoid_scratch();
    avoid.clear();
    for (const UpstreamHost* host : cluster_->hosts) {
      avoid.push_back(host != nullptr && host->suspicion.Holds(now) ? 1 : 0);
    }
    context.avoid = avoid;
  }
  std::optional<uint32_t> picked = cluster_->picker.Pick(context);
  if (!picked.has_value() && fresh_only_) {
    // Only kept connections have failed: the instance itself may be in the best of health.
    context.exclude = {};
    picked = cluster_->picker.Pick(context);
  }
  return picked;
}

void Exchange::StartAttempt() {
  const std::optional<uint32_t> picked = PickEndpoint();
  if (!picked.has_value()) {
    if (attempts_ > 0) {
      if (counters_ != nullptr) counters_->upstream_failures.Add();
      Fail(failure_status_, absl::StrCat("no other instance of ", cluster_name_, " is ready"));
      return;
    }
    if (counters_ != nullptr) counters_->no_endpoint.Add();
    Fail(503, absl::StrCat("no instance of ", cluster_name_, " is ready"));
    return;
  }
  host_ = cluster_->hosts[*picked];
  worker_.pool().AddUser(*host_);
  host_->counters->in_flight.fetch_add(1, std::memory_order_relaxed);
  ++attempts_;
  attempt_started_ = worker_.poller().now();
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
    host_->stats->timing.connect.Record(worker_.poller().now() - attempt_started_);
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
  last_progress_ = attempt_started_ = worker_.poller().now();
  Stream& upstream = upstream_->stream;
  const uint64_t sent_before = upstream.sent_bytes();
  if (!upstream.Send(head_, replay_)) {
    if (upstream.sent_bytes() == sent_before) {
      AttemptFailed(AttemptFailure::kNotSent, 502);
      return;
    }
    upstream_broken_ = true;
  }
  TimerWheel& timers = worker_.poller().timers();
  if (response_timeout_ > Millis{0}) {
    timers.Arm(*upstream_, worker_.poller().now() + response_timeout_);
  } else {
    timers.Cancel(*upstream_);
  }
}

void Exchange::AttemptFailed(AttemptFailure failure, int status) {
  const bool reused = upstream_ != nullptr && upstream_->reused();
  host_->stats->failures.Add();
  served_by_ = nullptr;
  ReleaseUpstream(false);
  LeaveEndpoint();
  const RetryQuestion question{failure, idempotent_, replayable_, attempts_};
  if (MayRetry(question)) {
    // An attempt that reached nobody put no load on anybody.
    if (failure != AttemptFailure::kNotSent && !holds_budget_) {
      holds_budget_ = worker_.retry_budget().TryTake(worker_.active_exchanges());
    }
    if (failure == AttemptFailure::kNotSent || holds_budget_) {
      counters_->retries.Add();
      fresh_only_ = fresh_only_ || reused;
      failure_status_ = status;
      state_ = State::kPicking;
      return;
    }
  }
  counters_->upstream_failures.Add();
  Fail(status, status == 504
                   ? absl::StrCat("an instance of ", cluster_name_, " did not answer in time")
                   : absl::StrCat("an instance of ", cluster_name_, " failed to answer"));
}

void Exchange::Blame() {
  const Instant now = worker_.poller().now();
  host_->suspicion.OnFailure(now);
  host_->counters->unreachable_at.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  if (cluster_ != nullptr) {
    cluster_->suspicion_until = std::max(cluster_->suspicion_until, host_->suspicion.until());
  }
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
  if (std::exchange(tunnelled_, false)) {
    host.counters->tunnels.fetch_sub(1, std::memory_order_relaxed);
  }
  // Release: who reads zero also sees everything this request has done.
  const uint32_t before = host.counters->in_flight.fetch_sub(1, std::memory_order_acq_rel);
  if (before == 1 && !host.pickable) worker_.NoteDrained();
  worker_.pool().RemoveUser(host);
}

}  // namespace pando::proxy
