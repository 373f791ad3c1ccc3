#include "controller/service/admin_service.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status_macros.h"
#include "common/runtime/version.h"
#include "controller/service/admin_streams.h"
#include "controller/service/admin_views.h"
#include "controller/service/grpc_status.h"
#include "controller/service/load_view.h"
#include "controller/spec/parse.h"

namespace pando::controller {
namespace {

grpc::ServerUnaryReactor* FinishNow(grpc::CallbackServerContext* context,
                                    const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpc(status));
  return reactor;
}

// What an Apply asks of the core.
struct Wanted {
  std::vector<AppRequest> apps;
  std::vector<Gateway> gateways;
};

Wanted ToWanted(const ParsedSpecs& specs) {
  Wanted wanted;
  for (const v1::AppSpec& spec : specs.apps) {
    AppRequest& app = wanted.apps.emplace_back();
    app.app = {spec.name()};
    app.config = ToRevisionConfig(spec);
    if (spec.has_replicas()) app.replicas = spec.replicas();
  }
  for (const v1::Gateway& gateway : specs.gateways) {
    wanted.gateways.push_back(ToGateway(gateway));
  }
  return wanted;
}

}  // namespace

grpc::ServerUnaryReactor* AdminService::Decide(Context* context, Change decide) {
  Unary* reactor = context->DefaultReactor();
  control_.loop().Post([this, reactor, decide = std::move(decide)]() mutable {
    if (!control_.store_healthy()) {
      return reactor->Finish({grpc::StatusCode::UNAVAILABLE,
                              "the controller's store does not answer; nothing was changed"});
    }
    // The decision's own verdict, or else that of its commit.
    auto verdict = std::make_shared<absl::Status>();
    control_.Do([&](Cluster& cluster, Instant now,
                    Effects& effects) { *verdict = decide(cluster, now, effects); },
                [reactor, verdict](const absl::Status& released) {
                  reactor->Finish(ToGrpc(verdict->ok() ? released : *verdict));
                });
  });
  return reactor;
}

grpc::ServerUnaryReactor* AdminService::DecideApp(Context* context, const std::string& app,
                                                  v1::ChangeResponse* response, AppChange decide) {
  return Decide(context, [app, response, decide = std::move(decide)](Cluster& cluster, Instant now,
                                                                     Effects& effects) mutable {
    const absl::StatusOr<AppId> id = ResolveApp(cluster, app);
    PANDO_RETURN_IF_ERROR(id.status());
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

grpc::ServerUnaryReactor* AdminService::Apply(Context* context, const v1::ApplyRequest* request,
                                              v1::ApplyResponse* response) {
  ParseOptions options;
  if (!request->filename().empty()) options.filename = request->filename();
  options.base_dir = request->base_dir();
  options.file_dir = request->file_dir();
  const absl::StatusOr<ParsedSpecs> specs = ParseSpecs(request->yaml(), options);
  if (!specs.ok()) return FinishNow(context, specs.status());
  return Decide(context, [this, wanted = ToWanted(*specs), request, response](
                             Cluster& cluster, Instant now, Effects& effects) {
    const std::vector<Gateway> before = cluster.GetGateways();
    const ApplyOptions how{.dry_run = request->dry_run(),
                           .force = request->options().force(),
                           .origin = OriginOf(request->options())};
    const auto outcomes = cluster.Apply(wanted.apps, wanted.gateways, how, now, effects);
    PANDO_RETURN_IF_ERROR(outcomes.status());
    for (const ApplyOutcome& outcome : *outcomes) {
      v1::ApplyResponse::App& app = *response->add_apps();
      app.set_name(outcome.app.value);
      app.set_old_revision(outcome.old_revision);
      app.set_revision(outcome.revision);
      app.set_replicas(outcome.replicas);
      app.set_replicas_source(outcome.replicas_source);
      app.set_generation(outcome.generation);
      app.set_refused(outcome.refused);
    }
    for (const Gateway& gateway : wanted.gateways) {
      if (std::find(before.begin(), before.end(), gateway) == before.end()) {
        response->add_gateways(gateway.name);
      }
    }
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* AdminService::Scale(Context* context, const v1::ScaleRequest* request,
                                              v1::ChangeResponse* response) {
  return DecideApp(context, request->app(), response,
                   [request](Cluster& cluster, const AppId& app, Instant now, Effects& effects) {
                     return request->relative()
                                ? cluster.ScaleBy(app, request->delta(), now, effects)
                                : cluster.Scale(app, request->replicas(), now, effects);
                   });
}

grpc::ServerUnaryReactor* AdminService::Stop(Context* context, const v1::AppRequest* request,
                                             v1::ChangeResponse* response) {
  return DecideApp(context, request->app(), response,
                   [](Cluster& cluster, const AppId& app, Instant now, Effects& effects) {
                     return cluster.SetStopped(app, true, now, effects);
                   });
}

grpc::ServerUnaryReactor* AdminService::Start(Context* context, const v1::AppRequest* request,
                                              v1::ChangeResponse* response) {
  return DecideApp(context, request->app(), response,
                   [](Cluster& cluster, const AppId& app, Instant now, Effects& effects) {
                     return cluster.SetStopped(app, false, now, effects);
                   });
}

grpc::ServerUnaryReactor* AdminService::Restart(Context* context, const v1::AppRequest* request,
                                                v1::ChangeResponse* response) {
  return DecideApp(
      context, request->app(), response,
      [this, request](Cluster& cluster, const AppId& app, Instant now, Effects& effects) {
        return cluster.Restart(app, now, effects, OriginOf(request->options()));
      });
}

grpc::ServerUnaryReactor* AdminService::Remove(Context* context, const v1::AppRequest* request,
                                               v1::ChangeResponse* response) {
  return DecideApp(context, request->app(), response,
                   [](Cluster& cluster, const AppId& app, Instant now, Effects& effects) {
                     return cluster.Remove(app, now, effects);
                   });
}

grpc::ServerUnaryReactor* AdminService::Cordon(Context* context, const v1::CordonRequest* request,
                                               v1::CordonResponse* /*response*/) {
  return Decide(context, [request](Cluster& cluster, Instant now, Effects& effects) {
    return cluster.SetCordoned({request->node()}, request->cordoned(), now, effects);
  });
}

grpc::ServerUnaryReactor* AdminService::Unfreeze(Context* context,
                                                 const v1::UnfreezeRequest* /*request*/,
                                                 v1::UnfreezeResponse* /*response*/) {
  return Decide(context, [](Cluster& cluster, Instant now, Effects& effects) {
    return cluster.Unfreeze(now, effects);
  });
}

grpc::ServerUnaryReactor* AdminService::Drain(Context* context, const v1::DrainRequest* request,
                                              v1::DrainResponse* response) {
  return Decide(context, [request, response](Cluster& cluster, Instant now, Effects& effects) {
    const absl::StatusOr<DrainOutcome> outcome =
        cluster.DrainNode({request->node()}, Millis{request->deadline_ms()}, now, effects);
    PANDO_RETURN_IF_ERROR(outcome.status());
    response->set_node(outcome->node.value);
    response->set_instances(outcome->instances);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* AdminService::Rebalance(Context* context,
                                                  const v1::RebalanceRequest* request,
                                                  v1::RebalanceResponse* response) {
  return Decide(context, [request, response](Cluster& cluster, Instant now, Effects& effects) {
    const absl::StatusOr<RebalanceOutcome> outcome =
        cluster.Rebalance({request->app()}, request->plan(), now, effects);
    PANDO_RETURN_IF_ERROR(outcome.status());
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
