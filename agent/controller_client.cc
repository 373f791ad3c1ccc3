#include "agent/controller_client.h"

#include <grpc/grpc.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <latch>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/runtime/log.h"
#include "pando/v1/agent.grpc.pb.h"

namespace pando::agent {
namespace {

constexpr BackoffPolicy kReconnect{Millis{100}, Millis{2'000}};
constexpr Millis kRefusedRetry{5'000};
constexpr Millis kWelcomeTimeout{5'000};
constexpr int kKeepaliveMs = 2'000;
constexpr int kConnectTimeoutMs = 2'000;

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address) {
  grpc::ChannelArguments arguments;
  // A host that vanished without a word is noticed within 4 s.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Each try is a channel of its own and its pace is ours: no shared state, no second backoff.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, 64 << 20);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

// One call. Its reactions post to the loop, which alone starts operations. Keeps itself alive until
// OnDone, and dies on the loop: when the last channel goes, gRPC joins its callback threads, so
// none of them may be the one that lets it go.
class ControllerClient::Stream final
    : public grpc::ClientBidiReactor<v1::AgentMessage, v1::ControllerMessage>,
      public std::enable_shared_from_this<Stream> {
 public:
  Stream(ControllerClient& client, const std::string& address)
      : loop_(client.loop_),
        client_(client),
        client_alive_(client.alive_),
        stub_(v1::AgentService::NewStub(MakeChannel(address))) {}

  void Begin(v1::Hello hello) {
    self_ = shared_from_this();
    stub_->async()->Session(&context_, this);
    AddHold();  // released by End: the loop may start a write at any time until then
    StartRead(&incoming_);
    Write([&] {
      v1::AgentMessage message;
      *message.mutable_hello() = std::move(hello);
      return message;
    }());
    StartCall();
  }

  bool can_write() const { return open_ && !writing_; }
  void Write(v1::AgentMessage message) {
    outgoing_ = std::move(message);
    writing_ = true;
    StartWrite(&outgoing_);
  }
  void Cancel() { context_.TryCancel(); }
  // From here on the loop starts nothing any more.
  void End() {
    if (std::exchange(open_, false)) RemoveHold();
  }
  void WaitUntilDone() { done_->wait(); }

 private:
  void OnReadDone(bool ok) override {
    loop_.Post([self = shared_from_this(), ok] {
      if (!ok) return self->End();
      if (!self->open_) return;
      if (!self->client_alive_.expired()) self->client_.OnMessage(self->incoming_);
      if (self->open_) self->StartRead(&self->incoming_);
    });
  }

  void OnWriteDone(bool ok) override {
    loop_.Post([self = shared_from_this(), ok] {
      self->writing_ = false;
      if (ok && !self->client_alive_.expired()) self->client_.Pump();
    });
  }

  void OnDone(const grpc::Status& status) override {
    const std::shared_ptr<std::latch> done = done_;  // the post may outrun what follows it
    loop_.Post([self = std::move(self_), reason = status.error_message()] {
      if (!self->client_alive_.expired() && self->client_.stream_ == self) {
        self->client_.OnEnded(reason);
      }
    });
    done->count_down();
  }

  EventLoop& loop_;
  ControllerClient& client_;
  std::weak_ptr<char> client_alive_;
  std::unique_ptr<v1::AgentService::Stub> stub_;
  grpc::ClientContext context_;
  v1::ControllerMessage incoming_;
  v1::AgentMessage outgoing_;
  bool open_ = true;
  bool writing_ = false;
  // std, not absl: the packaged absl is invisible to ThreadSanitizer.
  const std::shared_ptr<std::latch> done_ = std::make_shared<std::latch>(1);
  std::shared_ptr<Stream> self_;
};

ControllerClient::ControllerClient(EventLoop& loop, std::string address, Handlers handlers,
                                   uint64_t seed)
    : loop_(loop), address_(std::move(address)), handlers_(std::move(handlers)), random_(seed) {
  // Between two tries there is no channel: without this, gRPC would end and begin anew each time.
  grpc_init();
}

ControllerClient::~ControllerClient() {
  alive_.reset();
  if (stream_) {
    stream_->Cancel();
    stream_->End();
    stream_->WaitUntilDone();
  }
  grpc_shutdown();
}

void ControllerClient::Start() { Connect(); }

void ControllerClient::Connect() {
  outbox_.Clear();
  refused_ = false;
  const uint64_t session = ++session_;
  stream_ = std::make_shared<Stream>(*this, address_);
  stream_->Begin(handlers_.hello());
  Later(kWelcomeTimeout, [this, session] {
    if (session_ == session && stream_ && !connected_) stream_->Cancel();
  });
}

void ControllerClient::OnMessage(const v1::ControllerMessage& message) {
  switch (message.kind_case()) {
    case v1::ControllerMessage::kWelcome:
      return OnWelcome(message.welcome());
    case v1::ControllerMessage::kReject:
      return OnRefused(message.reject().reason());
    case v1::ControllerMessage::kOrders:
      if (connected_) handlers_.orders(message.orders());
      return;
    case v1::ControllerMessage::kLogRequest:
      return handlers_.log_request(message.log_request());
    case v1::ControllerMessage::kLogCancel:
      return handlers_.log_cancel(message.log_cancel().request_id());
    case v1::ControllerMessage::KIND_NOT_SET:
      return;  // a newer controller's word
  }
}

void ControllerClient::OnWelcome(const v1::Welcome& welcome) {
  if (connected_) return;
  if (const absl::Status status = handlers_.welcome(welcome); !status.ok()) {
    return OnRefused(std::string(status.message()));
  }
  connected_ = true;
  attempt_ = 0;
  unreachable_ = false;
  last_refusal_.clear();
  LogInfo("connected to the controller", {{"controller", address_},
                                          {"cluster", welcome.cluster_id()},
                                          {"term", absl::StrCat(welcome.term())}});
  handlers_.connected(true);
  Heartbeat(session_, Millis{std::max(welcome.heartbeat_interval_ms(), 10u)});
}

void ControllerClient::OnRefused(const std::string& reason) {
  refused_ = true;
  if (std::exchange(last_refusal_, reason) != reason) {
    LogError("no session with this controller, tries again",
             {{"controller", address_}, {"reason", reason}});
  }
  stream_->Cancel();
}

void ControllerClient::OnEnded(const std::string& reason) {
  stream_.reset();
  if (std::exchange(connected_, false)) handlers_.connected(false);
  if (!refused_ && !std::exchange(unreachable_, true)) {
    LogWarn("controller unreachable, keeps trying", {{"controller", address_}, {"reason", reason}});
  }
  const double unit = static_cast<double>(random_() % 1'000) / 1'000;
  const Millis delay = refused_ ? kRefusedRetry : Backoff(kReconnect, attempt_++, unit);
  Later(delay, [this] { Connect(); });
}

void ControllerClient::SendStatus(v1::InstanceStatus status) {
  if (!stream_) return;
  outbox_.Status(std::move(status));
  Pump();
}

void ControllerClient::SendGone(const std::string& assignment_id) {
  if (!stream_) return;
  outbox_.Gone(assignment_id);
  Pump();
}

void ControllerClient::SendLogChunk(v1::LogChunk chunk) {
  if (!stream_) return;
  outbox_.LogChunk(std::move(chunk));
  Pump();
}

void ControllerClient::Pump() {
  if (!stream_ || !stream_->can_write()) return;
  if (auto message = outbox_.Next()) stream_->Write(*std::move(message));
}

void ControllerClient::Heartbeat(uint64_t session, Millis interval) {
  if (session != session_ || !connected_) return;
  outbox_.Heartbeat(handlers_.heartbeat());
  Pump();
  Later(interval, [this, session, interval] { Heartbeat(session, interval); });
}

void ControllerClient::Later(Millis delay, std::function<void()> task) {
  loop_.RunAfter(delay, [alive = std::weak_ptr<char>(alive_), task = std::move(task)] {
    if (!alive.expired()) task();
  });
}

}  // namespace pando::agent
