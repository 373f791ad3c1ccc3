// One request's life: route, pick, send, retry, stream both ways, count.
//
// An Exchange is a state machine with a single entry, Run, which its session calls whenever either
// side has become ready; it never calls back into the session's own loop. Back-pressure is one
// rule: a side is read only while nothing waits to be sent to the other. Exchanges are reused, so
// that a request on the steady path allocates nothing.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/time.h"
#include "proxy/core/byte_queue.h"
#include "proxy/core/h1_body.h"
#include "proxy/core/h1_parser.h"
#include "proxy/core/picker.h"
#include "proxy/core/retry.h"
#include "proxy/net/shared_cluster.h"
#include "proxy/net/upstream_pool.h"

namespace pando::proxy {

class H1Session;
class Worker;
struct WorkerCluster;

class Exchange {
 public:
  explicit Exchange(Worker& worker) : worker_(worker) {}

  enum class Outcome {
    kWaiting,
    kDone,   // the response has been handed to the session
    kClose,  // nothing more can be said to this client
    kReset,  // likewise, and it must not look like an end
  };

  // `rest` is what came after the head. Returns how much of it was the request's body.
  size_t Begin(H1Session& session, const RequestHead& head, std::string_view rest);
  Outcome Run();
  // Gives everything back; the exchange can begin again.
  void End();

  void OnUpstreamReady();
  // When silence on both sides, or the whole, would be too long.
  Instant silence_deadline() const;
  void OnSilence() { silent_ = true; }

  bool tunnels() const { return state_ == State::kTunnel; }

  // A request that waits may go to the endpoint, of which a slot was taken for it; null: there is
  // none left that it may go to.
  void OnCalled(std::shared_ptr<EndpointCounters> endpoint);

  // The response said, or has to mean, that the connection ends with it.
  bool closes_client() const { return close_client_ || !request_body_.done(); }

 private:
  enum class State {
    kPicking,
    kQueued,  // until an instance has room
    kConnecting,
    kStreaming,
    kTunnel,
    kFinished,
  };

  void TakeKey(const HashSource& source, const RequestHead& head);
  void StartAttempt();
  bool FindCluster();
  ClusterPicker::Picked PickEndpoint();
  WaitingRoom::Ticket TicketOf(uint64_t id) const;
  void StartOn(uint32_t index);
  void JoinQueue();
  bool LeaveQueue();
  bool WaitForCall();
  void SendFromStart();
  bool FinishConnect();
  void PumpBoth();
  void PumpRequest();
  void OnRequestBytes(std::string_view bytes, bool from_backlog);
  void PumpResponse();
  void OnResponseBytes(std::string_view bytes);
  void TakeResponseHeads(std::string_view bytes);
  void NoteAnswer();
  void StartResponse(const ResponseHead& head, std::string_view body);
  void SendBody(std::string_view bytes, std::string_view head);
  void OnResponseEnd(bool clean);
  void FinishResponse(bool leftover);
  void StartTunnel(const ResponseHead& head, std::string_view rest);
  void PumpTunnel();
  bool InstanceIsDue() const;
  void NoteWhoIsDue();
  void WatchForAnswer(Instant since);
  void OnAnswerOverdue();
  bool TakeFromBudget();
  void AttemptFailed(AttemptFailure failure, int status);
  void OnRequestEnd();
  void OnSilenceTooLong();
  void LogAccess();
  void Fail(int status, std::string_view text);
  void Redirect(const HttpsRedirect& redirect, const RequestHead& head);
  void CutShort();
  void FailTooLarge();
  void Finish(Outcome outcome);
  void ReleaseUpstream(bool reusable);
  void LeaveEndpoint();
  void LeaveSlot();
  void Blame();
  void NoteFailedAttempt();
  void NoteStatus(int status);
  void AddStickyCookie(std::string& head);

  Worker& worker_;
  H1Session* session_ = nullptr;
  State state_ = State::kFinished;
  Outcome outcome_ = Outcome::kWaiting;

  // The request.
  Method method_ = Method::kOther;
  int client_minor_version_ = 1;
  bool idempotent_ = false;
  bool awaits_continue_ = false;  // sends its body when told to
  bool wants_upgrade_ = false;
  std::string head_;  // as sent upstream
  std::string request_id_;
  std::string replay_;  // the body so far, while it is small enough to be sent again
  bool replayable_ = true;
  BodyFramer request_body_;
  Instant started_{};
  Instant last_progress_{};
  Instant total_deadline_ = Instant::max();
  uint64_t sent_seen_ = 0;  // to both sides, when progress was last looked at

  // Where it goes.
  std::string cluster_name_;
  std::shared_ptr<WorkerCluster> cluster_;  // of the table the current attempt was picked by
  ClusterCounters* counters_ = nullptr;
  InstanceCounters* served_by_ = nullptr;  // whose response the client is given
  RouteLimits limits_;
  std::optional<uint64_t> hash_;
  HashSource sticky_;  // the cookie to set, if any
  UpstreamHost* host_ = nullptr;
  UpstreamConnection* upstream_ = nullptr;
  // By this request already; the last `spare_` of them failed on kept connections only, and may be
  // in the best of health.
  std::vector<const EndpointCounters*> tried_;
  size_t spare_ = 0;
  int attempts_ = 0;
  int attempts_timed_out_ = 0;
  Instant attempt_started_{};    // connecting, then sending
  std::string failed_instance_;  // the last one, for the access log
  // A slot of an endpoint's concurrency limit, from before the request is sent to its end.
  std::shared_ptr<EndpointCounters> slot_;
  Instant slot_taken_{};
  Instant response_started_{};
  bool unanswered_ = false;  // it is the instance's turn: counted in host_->unanswered
  Instant request_moved_{};  // when this attempt last got a part of the request off
  bool answered_ = false;    // by the attempt that holds the slot
  // In the queue.
  uint64_t ticket_ = 0;  // 0: not in it
  Instant queued_at_{};
  Instant queue_deadline_ = Instant::max();
  std::shared_ptr<EndpointCounters> called_;
  bool called_in_vain_ = false;  // no instance is left that it may go to
  std::optional<std::chrono::nanoseconds> connect_time_;
  std::optional<std::chrono::nanoseconds> first_byte_time_;
  uint64_t request_body_bytes_ = 0;
  uint64_t response_body_bytes_ = 0;
  std::shared_ptr<SharedCluster> budget_;  // of the retries, a part of which this is
  bool fresh_only_ = false;                // kept connections have failed
  int failure_status_ = 502;               // what the last attempt would have been answered with
  bool upstream_broken_ = false;           // for writing; it may still have an answer to read

  // The response.
  ByteQueue partial_;  // of its head
  HeadScanner scanner_;
  BodyFramer response_body_;
  int status_ = 0;  // of what the client is given; 0: nothing yet
  bool response_bytes_seen_ = false;
  bool head_sent_ = false;
  bool dechunk_ = false;
  bool upstream_keep_alive_ = false;
  std::optional<Millis> app_limit_;
  bool close_client_ = false;
  bool silent_ = false;
  bool tunnelled_ = false;  // counted as a tunnel of host_

  // A tunnel's ends.
  bool client_ended_ = false;
  bool upstream_ended_ = false;
  bool client_end_passed_ = false;
  bool upstream_end_passed_ = false;
};

}  // namespace pando::proxy
