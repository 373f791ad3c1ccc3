#include "agent/grpc_probe.h"

#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/async_unary_call.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
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

std::shared_ptr<::grpc::Channel> MakeChannel(const std::string& target) {
  ::grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetMaxReceiveMessageSize(kMaxAnswerBytes);
  arguments.SetUserAgentPrefix("pando-agent");
  return ::grpc::CreateCustomChannel(target, ::grpc::InsecureChannelCredentials(), arguments);
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

struct GrpcProber::Question {
  std::string target;
  std::string service;
  Millis timeout{};
  WallTime deadline;
  ProbeDone done;
};

struct GrpcProber::Line {
  std::shared_ptr<::grpc::Channel> channel;
  std::unique_ptr<Health::Stub> stub;
  Instant made_at;
};

struct GrpcProber::Call {
  Question question;
  Line line;
  bool is_kept = false;  // the line
  ::grpc::ClientContext context;
  std::unique_ptr<::grpc::ClientAsyncResponseReader<HealthCheckResponse>> reader;
  HealthCheckResponse response;
  ::grpc::Status status;
};

GrpcProber::GrpcProber(EventLoop& loop, Millis kept_for) : loop_(loop), kept_for_(kept_for) {}

GrpcProber::~GrpcProber() {
  for (const auto& [key, call] : calls_) call->context.TryCancel();
  queue_.Shutdown();
  if (thread_.joinable()) thread_.join();
}

void GrpcProber::Probe(const std::vector<std::string>& targets, const std::string& service,
                       Millis timeout, ProbeDone done) {
  if (!thread_.joinable()) thread_ = std::thread([this] { AwaitAnswers(); });
  const std::string target = absl::StrCat("ipv4:", absl::StrJoin(targets, ","));
  Ask({target, service, timeout, loop_.WallNow() + timeout, std::move(done)}, TakeKept(target));
}

void GrpcProber::Ask(Question question, std::optional<Line> kept) {
  auto owned = std::make_unique<Call>();
  Call* const call = owned.get();
  calls_[call] = std::move(owned);
  call->question = std::move(question);
  call->is_kept = kept.has_value();
  if (kept) {
    call->line = *std::move(kept);
  } else {
    call->line.channel = MakeChannel(call->question.target);
    call->line.stub = Health::NewStub(call->line.channel);
    call->line.made_at = loop_.Now();
  }
  call->context.set_deadline(call->question.deadline);
  HealthCheckRequest request;
  request.set_service(call->question.service);
  call->reader = call->line.stub->AsyncCheck(&call->context, request, &queue_);
  call->reader->Finish(&call->response, &call->status, call);
}

std::optional<GrpcProber::Line> GrpcProber::TakeKept(const std::string& target) {
  const Instant now = loop_.Now();
  if (now >= sweep_at_) {  // of what nobody asks any more, too
    std::erase_if(kept_, [&](const auto& one) { return now - one.second.made_at >= kept_for_; });
    sweep_at_ = now + std::min(kept_for_, Millis{1'000});
  }
  const auto found = kept_.find(target);
  if (found == kept_.end()) return std::nullopt;
  Line line = std::move(found->second);
  kept_.erase(found);
  return line;
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
  Question& question = owned->question;
  const ::grpc::Status& status = owned->status;
  if (owned->is_kept && status.error_code() == ::grpc::StatusCode::UNAVAILABLE) {
    return Ask(std::move(question), std::nullopt);  // by its deadline still
  }
  if (status.ok()) kept_.insert_or_assign(question.target, std::move(owned->line));
  question.done({Describe(status, owned->response, question.service, question.timeout)});
}

}  // namespace pando::agent
