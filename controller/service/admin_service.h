// The operators' API (admin.proto). Unary calls are decided on the loop and answered when their
// effects are durable; specs are parsed before, on gRPC's thread.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "controller/service/agent_service.h"
#include "controller/service/answer_book.h"
#include "controller/service/artifact_store.h"
#include "controller/service/control_loop.h"
#include "controller/service/loop_stream.h"
#include "controller/service/observations.h"
#include "controller/service/operator_changes.h"
#include "controller/spec/parse.h"
#include "pando/v1/admin.grpc.pb.h"

namespace pando::controller {

class AdminService final : public v1::Admin::CallbackService {
 public:
  // All outlive it.
  AdminService(ControlLoop& control, OpenStreams& streams, AgentService& agents,
               const Observations& observations, const ArtifactStore& artifacts,
               const std::vector<v1::AnswerRecord>& answers)
      : control_(control),
        streams_(streams),
        agents_(agents),
        observations_(observations),
        artifacts_(artifacts),
        answers_(answers) {}

  using Context = grpc::CallbackServerContext;
  using Unary = grpc::ServerUnaryReactor;

  Unary* Apply(Context* context, const v1::ApplyRequest* request,
               v1::ApplyResponse* response) override;
  Unary* Scale(Context* context, const v1::ScaleRequest* request,
               v1::ChangeResponse* response) override;
  Unary* Stop(Context* context, const v1::AppRequest* request,
              v1::ChangeResponse* response) override;
  Unary* Start(Context* context, const v1::AppRequest* request,
               v1::ChangeResponse* response) override;
  Unary* Restart(Context* context, const v1::AppRequest* request,
                 v1::ChangeResponse* response) override;
  Unary* Remove(Context* context, const v1::AppRequest* request,
                v1::ChangeResponse* response) override;
  Unary* Undo(Context* context, const v1::UndoRequest* request,
              v1::ChangeResponse* response) override;
  Unary* Pause(Context* context, const v1::PauseRequest* request,
               v1::ChangeResponse* response) override;
  Unary* Promote(Context* context, const v1::PromoteRequest* request,
                 v1::ChangeResponse* response) override;
  Unary* History(Context* context, const v1::AppRequest* request,
                 v1::HistoryResponse* response) override;
  Unary* RemoveGateway(Context* context, const v1::GatewayRequest* request,
                       v1::GatewayResponse* response) override;
  Unary* Cordon(Context* context, const v1::CordonRequest* request,
                v1::CordonResponse* response) override;
  Unary* Unfreeze(Context* context, const v1::UnfreezeRequest* request,
                  v1::UnfreezeResponse* response) override;
  Unary* Drain(Context* context, const v1::DrainRequest* request,
               v1::DrainResponse* response) override;
  Unary* Rebalance(Context* context, const v1::RebalanceRequest* request,
                   v1::RebalanceResponse* response) override;
  Unary* Why(Context* context, const v1::WhyRequest* request, v1::WhyResponse* response) override;
  Unary* GetCluster(Context* context, const v1::ClusterRequest* request,
                    v1::ClusterView* response) override;
  Unary* GetLoad(Context* context, const v1::LoadRequest* request, v1::LoadView* response) override;
  Unary* GetSpec(Context* context, const v1::AppRequest* request,
                 v1::SpecResponse* response) override;
  Unary* Version(Context* context, const v1::VersionRequest* request,
                 v1::VersionResponse* response) override;

  grpc::ServerWriteReactor<v1::ClusterView>* WatchCluster(
      Context* context, const v1::ClusterRequest* request) override;
  grpc::ServerWriteReactor<v1::Event>* Events(Context* context,
                                              const v1::EventsRequest* request) override;
  grpc::ServerWriteReactor<v1::LogEntry>* Logs(Context* context,
                                               const v1::LogsRequest* request) override;

 private:
  // A request that changes something. What it refers to lives until the call is answered.
  struct Ask {
    const char* method = nullptr;
    const v1::ChangeOptions& options;
    google::protobuf::Message& response;
    bool plan_only = false;
  };
  // What came of it, beside the response.
  struct Verdict {
    absl::Status status;
    std::optional<Conflict> conflict;  // with kAborted
  };
  using Change = absl::AnyInvocable<absl::Status(Cluster&, Instant, Effects&, Verdict&)>;
  // `decide` runs on the loop. The call is answered with its verdict when everything decided up to
  // then is durable; a request that was answered before is answered the same, and not decided.
  Unary* Decide(Context* context, const Ask& ask, Change decide);
  // A change of one app, which may be left unnamed when there is only one.
  using AppChange =
      absl::AnyInvocable<absl::StatusOr<ChangeOutcome>(Cluster&, const AppId&, Instant, Effects&)>;
  template <class Request>
  Unary* DecideApp(Context* context, const char* method, const Request* request,
                   v1::ChangeResponse* response, AppChange decide) {
    return DecideApp(context, {method, request->options(), *response}, request->app(), response,
                     std::move(decide));
  }
  Unary* DecideApp(Context* context, const Ask& ask, const std::string& app,
                   v1::ChangeResponse* response, AppChange decide);
  void AnswerAgain(Unary* reactor, const std::string& answer, const Ask& ask);
  // kAborted when the app is not at `based_on`.
  static absl::Status CheckBasis(const Cluster& cluster, const AppId& app, uint64_t based_on,
                                 Verdict& verdict);
  absl::Status ApplySpecs(const v1::ApplyRequest& request, const ParsedSpecs& specs,
                          v1::ApplyResponse& response, Cluster& cluster, Instant now,
                          Effects& effects, Verdict& verdict);
  Origin OriginOf(const v1::ChangeOptions& options);
  // `read` runs on the loop.
  Unary* Read(Context* context, absl::AnyInvocable<absl::Status()> read);

  ControlLoop& control_;
  OpenStreams& streams_;
  AgentService& agents_;
  const Observations& observations_;
  const ArtifactStore& artifacts_;
  AnswerBook answers_;  // used on the loop
};

}  // namespace pando::controller
