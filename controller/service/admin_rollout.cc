// The part of the operators' API that is about releases on their way and those of the past.
#include "common/base/status_macros.h"
#include "controller/service/admin_service.h"
#include "controller/service/admin_views.h"
#include "controller/service/grpc_status.h"
#include "controller/spec/diff.h"
#include "controller/store/records.h"

namespace pando::controller {
namespace {

const char* ResultName(ReleaseResult result) {
  switch (result) {
    case ReleaseResult::kPending:
      return "pending";
    case ReleaseResult::kLive:
      return "live";
    case ReleaseResult::kReplaced:
      return "replaced";
    case ReleaseResult::kUndone:
      return "undone";
    case ReleaseResult::kRolledBack:
      return "rolled-back";
  }
  return "";
}

}  // namespace

Origin AdminService::OriginOf(const v1::ChangeOptions& options) {
  return {options.by(), ToUnixMillis(control_.loop().WallNow())};
}

grpc::ServerUnaryReactor* AdminService::Undo(Context* context, const v1::UndoRequest* request,
                                             v1::ChangeResponse* response) {
  return DecideApp(context, "Undo", request, response,
                   [request](Cluster& cluster, const AppId& app, Instant now, Effects& effects) {
                     return cluster.Undo(app, request->to(), now, effects);
                   });
}

grpc::ServerUnaryReactor* AdminService::Pause(Context* context, const v1::PauseRequest* request,
                                              v1::ChangeResponse* response) {
  return DecideApp(context, "Pause", request, response,
                   [request](Cluster& cluster, const AppId& app, Instant now, Effects& effects) {
                     return cluster.SetPaused(app, request->paused(), now, effects);
                   });
}

grpc::ServerUnaryReactor* AdminService::Promote(Context* context, const v1::PromoteRequest* request,
                                                v1::ChangeResponse* response) {
  return DecideApp(context, "Promote", request, response,
                   [request](Cluster& cluster, const AppId& app, Instant now, Effects& effects) {
                     return cluster.Promote(app, request->all(), now, effects);
                   });
}

grpc::ServerUnaryReactor* AdminService::History(Context* context, const v1::AppRequest* request,
                                                v1::HistoryResponse* response) {
  return Read(context, [this, request, response]() -> absl::Status {
    const absl::StatusOr<AppId> id = ResolveApp(control_.cluster(), request->app());
    PANDO_RETURN_IF_ERROR(id.status());
    const auto history = control_.cluster().GetHistory(*id);
    PANDO_RETURN_IF_ERROR(history.status());
    for (size_t i = 0; i < history->size(); ++i) {
      const ReleaseStatus& from = (*history)[i];
      v1::HistoryResponse::Release& release = *response->add_releases();
      release.set_revision(from.revision.number);
      release.set_created_unix_ms(from.revision.origin.unix_ms);
      release.set_by(from.revision.origin.by);
      release.set_reason(from.revision.reason);
      release.set_result(ResultName(from.revision.result));
      release.set_result_detail(from.revision.result_detail);
      release.set_current(from.current);
      if (i + 1 == history->size()) continue;
      const v1::AppSpec before = ToAppSpec((*history)[i + 1].revision.config);
      for (const FieldDifference& change : DiffSpecs(before, ToAppSpec(from.revision.config))) {
        release.add_changes(change.field);
      }
    }
    return absl::OkStatus();
  });
}

}  // namespace pando::controller
