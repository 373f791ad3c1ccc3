#include "agent/grpc_probe.h"

#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/async_unary_call.h>
#include <grpcpp/support/channel_arguments.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/utf8.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace pando::agent {
namespace {

using ::grpc::health::v1::Health;
using ::grpc::health::v1::HealthCheckRequest;
using ::grpc::health::v1::HealthCheckResponse;

constexpr int kMaxAnswerBytes = 4'096;
constexpr size_t kMaxText = 200;

// A channel for one question: a probe is to see what a new client would see, and a channel that
// failed would wait longer and longer before it tries again.
std::shared_ptr<::grpc::Channel> MakeChannel(const std::vector<std::string>& targets) {
  ::grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetMaxReceiveMessageSize(kMaxAnswerBytes);
  arguments.SetUserAgentPrefix("pando-agent");
  return ::grpc::CreateCustomChannel(absl::StrCat("ipv4:", absl::StrJoin(targets, ",")),
                                     ::grpc::InsecureChannelCredentials(), arguments);
}

std::string Describe(const ::grpc::Status& status, const HealthCheckResponse& response,
                     const std::string& service, Millis timeout) {
  switch (status.error_code()) {
    case ::grpc::StatusCode::OK:
      if (response.status() == HealthCheckResponse::SERVING) return "";
      return absl::StrCat("gRPC health ",
                          HealthCheckResponse::ServingStatus_IsValid(response.status())
                              ? HealthCheckResponse::ServingStatus_Name(response.status())
                              : absl::StrCat(static_cast<int>(response.status())));
    case ::grpc::StatusCode::DEADLINE_EXCEEDED:
      return absl::StrCat("no answer within ", timeout.count(), " ms");
    case ::grpc::StatusCode::UNIMPLEMENTED:
      return "it does not serve grpc.health.v1.Health";
    case ::grpc::StatusCode::NOT_FOUND:
      return absl::StrCat("gRPC health knows no service \"", service, "\"");
    default:
      break;
  }
  if (absl::StrContains(status.error_message(), "Connection refused")) return "connection refused";
  return ToValidUtf8(absl::StrCat("gRPC status ", static_cast<int>(status.error_code()), ": ",
                                  status.error_message().substr(0, kMaxText)));
}

}  // namespace

struct GrpcProber::Call {
  std::shared_ptr<::grpc::Channel> channel;
  std::unique_ptr<Health::Stub> stub;
  ::grpc::ClientContext context;
  std::unique_ptr<::grpc::ClientAsyncResponseReader<HealthCheckResponse>> reader;
  HealthCheckResponse response;
  ::grpc::Status status;
  std::string service;
  Millis timeout{};
  ProbeDone done;
};

GrpcProber::GrpcProber(EventLoop& loop) : loop_(loop) {}

GrpcProber::~GrpcProber() {
  for (const auto& [key, call] : calls_) call->context.TryCancel();
  queue_.Shutdown();
  if (thread_.joinable()) thread_.join();
}

void GrpcProber::Probe(const std::vector<std::string>& targets, const std::string& service,
                       Millis timeout, ProbeDone done) {
  if (!thread_.joinable()) thread_ = std::thread([this] { AwaitAnswers(); });
  auto owned = std::make_unique<Call>();
  Call* const call = owned.get();
  calls_[call] = std::move(owned);
  call->channel = MakeChannel(targets);
  call->stub = Health::NewStub(call->channel);
  call->context.set_deadline(loop_.WallNow() + timeout);
  call->service = service;
  call->timeout = timeout;
  call->done = std::move(done);
  HealthCheckRequest request;
  request.set_service(service);
  call->reader = call->stub->AsyncCheck(&call->context, request, &queue_);
  call->reader->Finish(&call->response, &call->status, call);
}

void GrpcProber::AwaitAnswers() {
  const std::weak_ptr<char> alive = alive_;
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
    loop_.Post([this, alive, call = static_cast<Call*>(tag)] {
      if (!alive.expired()) OnAnswer(call);
    });
  }
}

void GrpcProber::OnAnswer(Call* call) {
  const auto found = calls_.find(call);
  const std::unique_ptr<Call> owned = std::move(found->second);
  calls_.erase(found);
  owned->done({Describe(owned->status, owned->response, owned->service, owned->timeout)});
}

}  // namespace pando::agent
