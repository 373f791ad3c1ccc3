#include "controller/service/admin_service.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/runtime/version.h"
#include "controller/service/admin_streams.h"
#include "controller/service/admin_views.h"
#include "controller/service/grpc_status.h"
#include "controller/service/load_view.h"
#include "controller/store/records.h"

namespace pando::controller {
namespace {

grpc::ServerUnaryReactor* FinishNow(grpc::CallbackServerContext* context,
                                    const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpc(status));
  return reactor;
}

// Stays the same when a client repeats its request, and differs between kinds of requests.
std::string KeyOf(const char* method, const v1::ChangeOptions& options) {
  return options.request_id().empty() ? "" : absl::StrCat(method, "/", options.request_id());
}

}  // namespace

grpc::ServerUnaryReactor* AdminService::Decide(Context* context, const Ask& ask, Change decide) {
  if (const absl::Status bad = CheckOptions(ask.options); !bad.ok()) {
    return FinishNow(context, bad);
  }
  Unary* reactor = context->DefaultReactor();
  control_.loop().Post([this, reactor, ask, decide = std::move(decide)]() mutable {
    const std::string key = KeyOf(ask.method, ask.options);
    if (const std::string* answer = answers_.Find(key)) {
      AnswerAgain(reactor, *answer, ask);
      return;
    }
    if (!control_.store_healthy()) {
      return reactor->Finish({grpc::StatusCode::UNAVAILABLE,
                              "the controller's store does not answer; nothing was changed"});
    }
    // The decision's own verdict, or else that of its commit.
    auto verdict = std::make_shared<Verdict>();
    std::vector<StoreWrite> answer;
    control_.Do(
        [&](Cluster& cluster, Instant now, Effects& effects) {
          verdict->status = decide(cluster, now, effects, *verdict);
          if (!verdict->status.ok()) return;
          NoteBy(ask.options.by(), effects.events);
          if (key.empty() || ask.plan_only) return;
          answer = answers_.Add(key, ask.response.SerializeAsString());
        },
        [this, reactor, verdict](const absl::Status& released) {
          // Only now: what the others did may have become an event in the meantime.
          if (verdict->conflict) {
            verdict->status =
                absl::AbortedError(DescribeConflict(*verdict->conflict, control_.timeline()));
          }
          reactor->Finish(ToGrpc(verdict->status.ok() ? released : verdict->status));
        },
        &answer);
  });
  return reactor;
}

void AdminService::AnswerAgain(Unary* reactor, const std::string& answer, const Ask& ask) {
  const bool read = ask.response.ParseFromString(answer);
  // Through the loop's queue: the first one's change may not be durable yet.
  control_.Do([](Cluster&, Instant, Effects&) {},
              [reactor, read](const absl::Status& released) {
                reactor->Finish(read ? ToGrpc(released)
                                     : grpc::Status(grpc::StatusCode::INTERNAL,
                                                    "the first answer cannot be read"));
              });
}

absl::Status AdminService::CheckBasis(const Cluster& cluster, const AppId& app, uint64_t based_on,
                                      Verdict& verdict) {
  const absl::StatusOr<AppStatus> status = cluster.GetApp(app);
  const uint64_t present = status.ok() ? status->app.generation : 0;
  if (present == based_on) return absl::OkStatus();
  verdict.conflict = Conflict{app, based_on, present};
  return absl::AbortedError(absl::StrCat(app.value, " was changed meanwhile"));
}

grpc::ServerUnaryReactor* AdminService::DecideApp(Context* context, const Ask& ask,
                                                  const std::string& app,
                                                  v1::ChangeResponse* response, AppChange decide) {
  return Decide(context, ask,
                [app, based_on = ask.options.if_generation(), response, decide = std::move(decide)](
                    Cluster& cluster, Instant now, Effects& effects, Verdict& verdict) mutable {
                  const absl::StatusOr<AppId> id = ResolveApp(cluster, app);
                  PANDO_RETURN_IF_ERROR(id.status());
                  if (based_on != 0) {
                    PANDO_RETURN_IF_ERROR(CheckBasis(cluster, *id, based_on, verdict));
                  }
                  const absl::StatusOr<ChangeOutcome> outcome = decide(cluster, *id, now, effects);
                  PANDO_RETURN_IF_ERROR(outcome.status());
                  *response = ToChangeResponse(*outcome);
                  return absl::OkStatus();
                });
}

grpc::ServerUnaryReactor* AdminService::Read(Context* context,
                                             absl::AnyInvocable<absl::Status()> read) {
  Unary* reactor = context->DefaultReactor();
  control_.loop().Post(
      [reactor, read = std::move(read)]() mutable { reactor->Finish(ToGrpc(read())); });
  return reactor;
}

grpc::ServerUnaryReactor* AdminService::Scale(Context* context, const v1::ScaleRequest* request,
                                              v1::ChangeResponse* response) {
  return DecideApp(context, "Scale", request, response,
                   [request](Cluster& cluster, const AppId& app, Instant now, Effects& effects) {
                     return request->relative()
                                ? cluster.ScaleBy(app, request->delta(), now, effects)
                                : cluster.Scale(app, request->replicas(), now, effects);
                   });
}

grpc::ServerUnaryReactor* AdminService::Stop(Context* context, const v1::AppRequest* request,
                                             v1::ChangeResponse* response) {
  return DecideApp(context, "Stop", request, response,
                   [](Cluster& cluster, const AppId& app, Instant now, Effects& effects) {
                     return cluster.SetStopped(app, true, now, effects);
                   });
}

grpc::ServerUnaryReactor* AdminService::Start(Context* context, const v1::AppRequest* request,
                                              v1::ChangeResponse* response) {
  return DecideApp(context, "Start", request, response,
                   [](Cluster& cluster, const AppId& app, Instant now, Effects& effects) {
                     return cluster.SetStopped(app, false, now, effects);
                   });
}

grpc::ServerUnaryReactor* AdminService::Restart(Context* context, const v1::AppRequest* request,
                                                v1::ChangeResponse* response) {
  return DecideApp(
      context, "Restart", request, response,
      [this, request](Cluster& cluster, const AppId& app, Instant now, Effects& effects) {
        return cluster.Restart(app, now, effects, OriginOf(request->options()));
      });
}

grpc::ServerUnaryReactor* AdminService::Remove(Context* context, const v1::AppRequest* request,
                                               v1::ChangeResponse* response) {
  return DecideApp(context, "Remove", request, response,
                   [](Cluster& cluster, const AppId& app, Instant now, Effects& effects) {
                     return cluster.Remove(app, now, effects);
                   });
}

grpc::ServerUnaryReactor* AdminService::RemoveGateway(Context* context,
                                                      const v1::GatewayRequest* request,
                                                      v1::GatewayResponse* response) {
  return Decide(context, {"RemoveGateway", request->options(), *response},
                [request](Cluster& cluster, Instant now, Effects& effects, Verdict&) {
                  return cluster.RemoveGateway(request->name(), now, effects);
                });
}

grpc::ServerUnaryReactor* AdminService::Cordon(Context* context, const v1::CordonRequest* request,
                                               v1::CordonResponse* response) {
  return Decide(context, {"Cordon", request->options(), *response},
                [request](Cluster& cluster, Instant now, Effects& effects, Verdict&) {
                  return cluster.SetCordoned({request->node()}, request->cordoned(), now, effects);
                });
}

grpc::ServerUnaryReactor* AdminService::Unfreeze(Context* context,
                                                 const v1::UnfreezeRequest* request,
                                                 v1::UnfreezeResponse* response) {
  return Decide(context, {"Unfreeze", request->options(), *response},
                [](Cluster& cluster, Instant now, Effects& effects, Verdict&) {
                  return cluster.Unfreeze(now, effects);
                });
}

grpc::ServerUnaryReactor* AdminService::Drain(Context* context, const v1::DrainRequest* request,
                                              v1::DrainResponse* response) {
  return Decide(context, {"Drain", request->options(), *response},
                [request, response](Cluster& cluster, Instant now, Effects& effects, Verdict&) {
                  const absl::StatusOr<DrainOutcome> outcome = cluster.DrainNode(
                      {request->node()}, Millis{request->deadline_ms()}, now, effects);
                  PANDO_RETURN_IF_ERROR(outcome.status());
                  response->set_node(outcome->node.value);
                  response->set_instances(outcome->instances);
                  return absl::OkStatus();
                });
}

grpc::ServerUnaryReactor* AdminService::Rebalance(Context* context,
                                                  const v1::RebalanceRequest* request,
                                                  v1::RebalanceResponse* response) {
  return Decide(context, {"Rebalance", request->options(), *response, request->plan()},
                [request, response](Cluster& cluster, Instant now, Effects& effects, Verdict&) {
                  const absl::StatusOr<RebalanceOutcome> outcome =
                      cluster.Rebalance({request->app()}, request->plan(), now, effects);
                  PANDO_RETURN_IF_ERROR(outcome.status());
                  // The moves say what they do; this says who wanted them.
                  if (!request->plan()) {
                    effects.events.insert(
                        effects.events.begin(),
                        {"rebalance",
                         {request->app()},
                         "",
                         {},
                         absl::StrCat(outcome->moves.size(), " instances to move")});
                  }
                  response->set_at_once(outcome->at_once);
                  for (const RebalanceOutcome::Move& move : outcome->moves) {
                    v1::RebalanceResponse::Move& added = *response->add_moves();
                    added.set_instance(move.instance);
                    added.set_app(move.instance.substr(0, move.instance.rfind('.')));
                    added.set_from(move.from.value);
                    added.set_to(move.to.value);
                    added.set_reason(move.reason);
                  }
                  return absl::OkStatus();
                });
}

grpc::ServerUnaryReactor* AdminService::Why(Context* context, const v1::WhyRequest* request,
                                            v1::WhyResponse* response) {
  return Read(context, [this, request, response]() -> absl::Status {
    const absl::StatusOr<Explanation> explanation =
        control_.cluster().Why(request->target(), control_.loop().Now());
    PANDO_RETURN_IF_ERROR(explanation.status());
    for (const std::string& line : explanation->lines) response->add_lines(line);
    for (const std::string& name : explanation->logs_of) response->add_logs_of(name);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* AdminService::GetCluster(Context* context,
                                                   const v1::ClusterRequest* request,
                                                   v1::ClusterView* response) {
  return Read(context, [this, request, response]() -> absl::Status {
    if (!request->app().empty()) {
      PANDO_RETURN_IF_ERROR(ResolveApp(control_.cluster(), request->app()).status());
    }
    *response =
        ToClusterView(control_, {request->app()}, control_.loop().Now(), control_.loop().WallNow());
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* AdminService::GetLoad(Context* context, const v1::LoadRequest* request,
                                                v1::LoadView* response) {
  return Read(context, [this, request, response]() -> absl::Status {
    if (!request->app().empty()) {
      PANDO_RETURN_IF_ERROR(ResolveApp(control_.cluster(), request->app()).status());
    }
    *response = ToLoadView(control_.cluster(), observations_.load, {request->app()},
                           control_.loop().Now(), control_.loop().WallNow());
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* AdminService::GetSpec(Context* context, const v1::AppRequest* request,
                                                v1::SpecResponse* response) {
  return Read(context, [this, request, response]() -> absl::Status {
    const absl::StatusOr<AppId> id = ResolveApp(control_.cluster(), request->app());
    PANDO_RETURN_IF_ERROR(id.status());
    const absl::StatusOr<AppStatus> status = control_.cluster().GetApp(*id);
    PANDO_RETURN_IF_ERROR(status.status());
    v1::AppSpec spec = ToAppSpec(status->config);
    if (status->app.spec_replicas) spec.set_replicas(*status->app.spec_replicas);
    response->set_yaml(ToYaml(spec));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* AdminService::Version(Context* context,
                                                const v1::VersionRequest* /*request*/,
                                                v1::VersionResponse* response) {
  response->set_version(std::string(pando::Version()));
  response->set_cluster_id(control_.cluster_id());
  return FinishNow(context, absl::OkStatus());
}

grpc::ServerWriteReactor<v1::ClusterView>* AdminService::WatchCluster(
    Context* /*context*/, const v1::ClusterRequest* request) {
  return NewWatchStream(control_, streams_, request->app());
}

grpc::ServerWriteReactor<v1::Event>* AdminService::Events(Context* /*context*/,
                                                          const v1::EventsRequest* request) {
  return NewEventStream(control_, streams_, *request);
}

grpc::ServerWriteReactor<v1::LogEntry>* AdminService::Logs(Context* /*context*/,
                                                           const v1::LogsRequest* request) {
  return NewLogStream(control_, streams_, agents_, *request);
}

}  // namespace pando::controller
