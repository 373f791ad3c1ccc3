#include "ctl/client.h"

#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/runtime/data_dir.h"
#include "ctl/artifact_upload.h"
#include "pando/v1/admin.grpc.pb.h"

namespace pando::ctl {

namespace {

constexpr Millis kUploadPause{200};

std::chrono::system_clock::time_point In(Millis duration) {
  return std::chrono::system_clock::now() + duration;
}

// gRPC's own lines on stderr would mix with ours, which say what matters.
void QuietGrpcLog() {
  gpr_set_log_function([](gpr_log_func_args*) {});
}

grpc::ChannelArguments ChannelArguments() {
  grpc::ChannelArguments arguments;
  // A waiting command should notice within a second that the controller is back.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  // The controller is an address of one's own network, never behind http_proxy.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetMaxReceiveMessageSize(64 * 1024 * 1024);
  return arguments;
}

}  // namespace

class Client::Connection {
 public:
  explicit Connection(ClientOptions options)
      : options_(std::move(options)),
        channel_(grpc::CreateCustomChannel(options_.controller, grpc::InsecureChannelCredentials(),
                                           ChannelArguments())),
        stub_(v1::Admin::NewStub(channel_)) {}

  v1::Admin::Stub& stub() { return *stub_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

  absl::Status Unreachable() const {
    return absl::UnavailableError(absl::StrCat("cannot reach the controller at ",
                                               options_.controller,
                                               " (is pando-controller running? choose another "
                                               "with --controller or PANDO_CONTROLLER)"));
  }

  // Waits until the channel works. A refused connection is an answer: no use in waiting on.
  absl::Status Connect() { return Connect(options_.connect_timeout); }
  absl::Status Connect(Millis timeout) {
    const auto deadline = In(timeout);
    for (;;) {
      const grpc_connectivity_state state = channel_->GetState(true);
      if (state == GRPC_CHANNEL_READY) return absl::OkStatus();
      if (state == GRPC_CHANNEL_TRANSIENT_FAILURE || state == GRPC_CHANNEL_SHUTDOWN) {
        return Unreachable();
      }
      if (!channel_->WaitForStateChange(state, deadline)) return Unreachable();
    }
  }

  // However long it takes; but not at once again when the channel never broke.
  void AwaitReturn() {
    channel_->WaitForStateChange(GRPC_CHANNEL_READY, In(Millis{200}));
    while (!channel_->WaitForConnected(In(Millis{1'000}))) {
    }
  }

  // gRPC's words are for programmers; the controller's own messages pass as they are.
  absl::Status Translate(const grpc::Status& status) {
    if (status.ok()) return absl::OkStatus();
    const auto code = static_cast<absl::StatusCode>(status.error_code());
    switch (code) {
      case absl::StatusCode::kUnavailable:
        // The channel still works: it is the controller that says so (its store does not answer).
        if (channel_->GetState(false) == GRPC_CHANNEL_READY) break;
        return absl::UnavailableError(
            absl::StrCat("the connection to the controller at ", options_.controller, " broke"));
      case absl::StatusCode::kDeadlineExceeded:
        return absl::DeadlineExceededError(
            absl::StrCat("the controller at ", options_.controller, " does not answer"));
      case absl::StatusCode::kUnimplemented:
        return absl::UnimplementedError(
            absl::StrCat("the controller at ", options_.controller,
                         " does not know this command (an older version, or something else "
                         "listens there)"));
      default:
        break;
    }
    return absl::Status(code, status.error_message());
  }

  template <class Request, class Response>
  absl::StatusOr<Response> Call(grpc::Status (v1::Admin::Stub::*method)(grpc::ClientContext*,
                                                                        const Request&, Response*),
                                const Request& request) {
    PANDO_RETURN_IF_ERROR(Connect());
    grpc::ClientContext context;
    context.set_deadline(In(options_.call_timeout));
    Response response;
    PANDO_RETURN_IF_ERROR(Translate(((*stub_).*method)(&context, request, &response)));
    return response;
  }

  // A call that changes something (see client.h).
  template <class Request, class Response>
  absl::StatusOr<Response> Change(grpc::Status (v1::Admin::Stub::*method)(grpc::ClientContext*,
                                                                          const Request&,
                                                                          Response*),
                                  Request request) {
    // Not one of the connection: a refused one is an answer, and nothing was sent.
    PANDO_RETURN_IF_ERROR(Connect());
    request.mutable_options()->set_request_id(RandomHexId());
    request.mutable_options()->set_by(options_.by);
    absl::StatusOr<Response> response = Call(method, request);
    const auto give_up = In(options_.connect_timeout);
    while (absl::IsUnavailable(response.status())) {
      // The controller says so itself (its store does not answer): not all at once again.
      channel_->WaitForStateChange(GRPC_CHANNEL_READY, std::min(give_up, In(Millis{200})));
      if (!channel_->WaitForConnected(give_up)) {
        return absl::UnavailableError(absl::StrCat(
            response.status().message(),
            " and did not come back; whether the change was made is not known (see ctl events)"));
      }
      if (std::chrono::system_clock::now() >= give_up) break;
      response = Call(method, request);
    }
    return response;
  }

  template <class Message>
  absl::Status ReadAll(std::unique_ptr<grpc::ClientReader<Message>> reader,
                       const std::function<void(const Message&)>& each) {
    Message message;
    while (reader->Read(&message)) each(message);
    return Translate(reader->Finish());
  }

 private:
  const ClientOptions options_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Admin::Stub> stub_;
};

namespace {

// One thread reads the stream and keeps only the newest view: a slow reader skips, never queues.
template <class Connection>
class StreamedClusterWatch final : public ClusterWatch {
 public:
  StreamedClusterWatch(std::shared_ptr<Connection> connection, v1::ClusterRequest request)
      : connection_(std::move(connection)),
        request_(std::move(request)),
        thread_([this] { Run(); }) {}

  ~StreamedClusterWatch() override {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      if (context_ != nullptr) context_->TryCancel();
    }
    changed_.notify_all();
    thread_.join();
  }

  News Next(Instant deadline) override {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, deadline, [this] { return view_ || lost_ || final_; });
    if (view_) return *std::exchange(view_, std::nullopt);
    if (lost_) return Lost{*std::exchange(lost_, std::nullopt)};
    if (final_) return *final_;
    return Nothing{};
  }

 private:
  void Run() {
    bool connected = true;  // so that the first failure is told
    for (;;) {
      // Later ones are short, so that closing never waits for one.
      const absl::Status status =
          connected ? connection_->Connect() : connection_->Connect(Millis{500});
      const absl::Status ended = status.ok() ? ReadStream(connected) : status;
      std::unique_lock lock(mutex_);
      if (closed_) return;
      if (ended.code() != absl::StatusCode::kUnavailable) {
        final_ = ended;
        changed_.notify_all();
        return;
      }
      if (std::exchange(connected, false)) {
        lost_ = ended;
        changed_.notify_all();
      }
      if (changed_.wait_for(lock, Millis{200}, [this] { return closed_; })) return;
    }
  }

  // Returns why the stream ended; kUnavailable is worth another try.
  absl::Status ReadStream(bool& connected) {
    grpc::ClientContext context;
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return absl::CancelledError();
      context_ = &context;
    }
    auto reader = connection_->stub().WatchCluster(&context, request_);
    v1::ClusterView view;
    while (reader->Read(&view)) {
      const std::lock_guard lock(mutex_);
      view_.emplace().Swap(&view);
      lost_.reset();
      connected = true;
      changed_.notify_all();
    }
    absl::Status status = connection_->Translate(reader->Finish());
    const std::lock_guard lock(mutex_);
    context_ = nullptr;
    // The stream never ends by itself: this is a controller that shuts down.
    if (status.ok()) status = connection_->Unreachable();
    return status;
  }

  const std::shared_ptr<Connection> connection_;
  const v1::ClusterRequest request_;
  // Guards all that follow. Not absl: the packaged absl::Mutex is invisible to ThreadSanitizer.
  std::mutex mutex_;
  std::condition_variable changed_;
  bool closed_ = false;
  grpc::ClientContext* context_ = nullptr;
  std::optional<v1::ClusterView> view_;
  std::optional<absl::Status> lost_;
  std::optional<absl::Status> final_;
  std::thread thread_;  // last: it uses the others
};

}  // namespace

Client::Client(ClientOptions options) : options_(std::move(options)) {
  QuietGrpcLog();
  connection_ = std::make_shared<Connection>(options_);
}

Client::~Client() = default;

absl::StatusOr<v1::ApplyResponse> Client::Apply(const v1::ApplyRequest& request) {
  return connection_->Change(&v1::Admin::Stub::Apply, request);
}

absl::StatusOr<v1::ChangeResponse> Client::Scale(const v1::ScaleRequest& request) {
  return connection_->Change(&v1::Admin::Stub::Scale, request);
}

absl::StatusOr<v1::ChangeResponse> Client::Stop(const v1::AppRequest& request) {
  return connection_->Change(&v1::Admin::Stub::Stop, request);
}

absl::StatusOr<v1::ChangeResponse> Client::Start(const v1::AppRequest& request) {
  return connection_->Change(&v1::Admin::Stub::Start, request);
}

absl::StatusOr<v1::ChangeResponse> Client::Restart(const v1::AppRequest& request) {
  return connection_->Change(&v1::Admin::Stub::Restart, request);
}

absl::StatusOr<v1::ChangeResponse> Client::Remove(const v1::AppRequest& request) {
  return connection_->Change(&v1::Admin::Stub::Remove, request);
}

absl::StatusOr<v1::ChangeResponse> Client::Undo(const v1::UndoRequest& request) {
  return connection_->Change(&v1::Admin::Stub::Undo, request);
}

absl::StatusOr<v1::ChangeResponse> Client::Pause(const v1::PauseRequest& request) {
  return connection_->Change(&v1::Admin::Stub::Pause, request);
}

absl::StatusOr<v1::ChangeResponse> Client::Promote(const v1::PromoteRequest& request) {
  return connection_->Change(&v1::Admin::Stub::Promote, request);
}

absl::StatusOr<v1::HistoryResponse> Client::History(const v1::AppRequest& request) {
  return connection_->Call(&v1::Admin::Stub::History, request);
}

absl::Status Client::RemoveGateway(const v1::GatewayRequest& request) {
  return connection_->Change(&v1::Admin::Stub::RemoveGateway, request).status();
}

absl::Status Client::Cordon(const v1::CordonRequest& request) {
  return connection_->Change(&v1::Admin::Stub::Cordon, request).status();
}

absl::Status Client::Unfreeze() {
  return connection_->Change(&v1::Admin::Stub::Unfreeze, v1::UnfreezeRequest()).status();
}

absl::StatusOr<v1::DrainResponse> Client::Drain(const v1::DrainRequest& request) {
  return connection_->Change(&v1::Admin::Stub::Drain, request);
}

absl::StatusOr<v1::RebalanceResponse> Client::Rebalance(const v1::RebalanceRequest& request) {
  return connection_->Change(&v1::Admin::Stub::Rebalance, request);
}

absl::StatusOr<v1::WhyResponse> Client::Why(const v1::WhyRequest& request) {
  return connection_->Call(&v1::Admin::Stub::Why, request);
}

absl::StatusOr<v1::ClusterView> Client::GetCluster(const v1::ClusterRequest& request) {
  return connection_->Call(&v1::Admin::Stub::GetCluster, request);
}

absl::StatusOr<v1::LoadView> Client::GetLoad(const v1::LoadRequest& request) {
  return connection_->Call(&v1::Admin::Stub::GetLoad, request);
}

absl::StatusOr<v1::SpecResponse> Client::GetSpec(const v1::AppRequest& request) {
  return connection_->Call(&v1::Admin::Stub::GetSpec, request);
}

absl::StatusOr<v1::VersionResponse> Client::Version() {
  return connection_->Call(&v1::Admin::Stub::Version, v1::VersionRequest());
}

absl::Status Client::UploadArtifact(const ArtifactFile& file, const UploadProgress& progress) {
  PANDO_RETURN_IF_ERROR(connection_->Connect());
  uint64_t most = 0;
  auto newest = std::chrono::steady_clock::now();
  for (;;) {
    const grpc::Status ended = UploadOnce(connection_->channel(), file, [&](uint64_t bytes) {
      if (bytes > most) newest = std::chrono::steady_clock::now();
      most = std::max(most, bytes);
      progress(bytes);
    });
    const bool cut = ended.error_code() == grpc::StatusCode::UNAVAILABLE ||
                     ended.error_code() == grpc::StatusCode::CANCELLED;
    const auto patience = options_.call_timeout - (std::chrono::steady_clock::now() - newest);
    if (!cut || patience <= Millis{0}) return connection_->Translate(ended);
    // A pause, shorter when the connection has news.
    grpc::Channel& channel = *connection_->channel();
    channel.WaitForStateChange(channel.GetState(/*try_to_connect=*/true), In(kUploadPause));
  }
}

absl::Status Client::Events(const v1::EventsRequest& request,
                            const std::function<void(const v1::Event&)>& each) {
  PANDO_RETURN_IF_ERROR(connection_->Connect());
  grpc::ClientContext context;
  return connection_->ReadAll<v1::Event>(connection_->stub().Events(&context, request), each);
}

absl::Status Client::FollowEvents(v1::EventsRequest request,
                                  const std::function<void(const v1::Event&)>& each,
                                  const std::function<void()>& lost) {
  PANDO_RETURN_IF_ERROR(connection_->Connect());
  request.set_follow(true);
  uint64_t last = 0;
  for (;;) {
    const absl::Status ended = Events(request, [&](const v1::Event& event) {
      if (event.sequence() <= last) return;
      last = event.sequence();
      request.set_tail(0);
      request.set_since_unix_ms(event.time_unix_ms());
      each(event);
    });
    // It ends without an error when the controller shuts down.
    if (!ended.ok() && !absl::IsUnavailable(ended)) return ended;
    lost();
    connection_->AwaitReturn();
  }
}

absl::Status Client::Logs(const v1::LogsRequest& request,
                          const std::function<void(const v1::LogEntry&)>& each) {
  PANDO_RETURN_IF_ERROR(connection_->Connect());
  grpc::ClientContext context;
  return connection_->ReadAll<v1::LogEntry>(connection_->stub().Logs(&context, request), each);
}

std::unique_ptr<ClusterWatch> Client::Watch(const v1::ClusterRequest& request) {
  return std::make_unique<StreamedClusterWatch<Connection>>(connection_, request);
}

}  // namespace pando::ctl
