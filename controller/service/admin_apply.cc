// The part of the operators' API that makes specs true, or says what that would do.
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "controller/core/blame.h"
#include "controller/core/feasibility.h"
#include "controller/service/admin_service.h"
#include "controller/service/apply_plan.h"
#include "controller/service/artifact_sources.h"
#include "controller/service/grpc_status.h"
#include "controller/store/records.h"

namespace pando::controller {
namespace {

std::vector<SpecFile> FilesOf(const v1::ApplyRequest& request) {
  std::vector<SpecFile> files;
  const auto add = [&](const std::string& yaml, const std::string& filename,
                       const std::string& dir) {
    SpecFile& file = files.emplace_back();
    file.yaml = yaml;
    if (!filename.empty()) file.options.filename = filename;
    file.options.base_dir = request.base_dir();
    file.options.file_dir = dir;
  };
  add(request.yaml(), request.filename(), request.file_dir());
  for (const v1::ApplyRequest::File& file : request.more_files()) {
    add(file.yaml(), file.filename(), file.file_dir());
  }
  return files;
}

std::vector<AppRequest> ToAppRequests(const ParsedSpecs& specs) {
  std::vector<AppRequest> requests;
  for (const v1::AppSpec& spec : specs.apps) {
    AppRequest& app = requests.emplace_back();
    app.app = {spec.name()};
    app.config = ToRevisionConfig(spec);
    if (spec.has_replicas()) app.replicas = spec.replicas();
  }
  return requests;
}

const Gateway* Find(const std::vector<Gateway>& gateways, const std::string& name) {
  const auto found = std::find_if(gateways.begin(), gateways.end(),
                                  [&](const Gateway& gateway) { return gateway.name == name; });
  return found == gateways.end() ? nullptr : &*found;
}

absl::Status CheckGatewayBasis(const v1::ApplyRequest& request,
                               const std::vector<Gateway>& gateways) {
  for (const auto& [name, based_on] : request.if_gateways()) {
    const Gateway* present = Find(gateways, name);
    if (based_on == (present == nullptr ? 0 : FingerprintOf(*present))) continue;
    return absl::AbortedError(
        absl::StrCat("gateway ", name,
                     " is not what this change is based on any more; nothing was changed, look "
                     "again and repeat it"));
  }
  return absl::OkStatus();
}

// The error in the words of the file: where what it is about is written.
absl::Status Locate(const absl::Status& error, const ParsedSpecs& specs) {
  const std::optional<Blame> blame = BlameOf(error);
  if (!blame) return error;
  const bool is_app = blame->kind == Blame::Kind::kApp;
  const size_t count = is_app ? specs.apps.size() : specs.gateways.size();
  for (size_t i = 0; i < count; ++i) {
    if ((is_app ? specs.apps[i].name() : specs.gateways[i].name()) != blame->name) continue;
    const SpecOrigin& origin = is_app ? specs.app_origins[i] : specs.gateway_origins[i];
    return {error.code(), origin.Complain(blame->field, std::string(error.message()))};
  }
  return error;
}

// What the nodes there are cannot do is refused, unless forced; what only some instances miss is
// told. `response` has the apps in the order of the specs.
absl::Status CheckNodes(const ParsedSpecs& specs, const std::vector<AppRequest>& requests,
                        bool force, const std::vector<NodeStatus>& nodes,
                        v1::ApplyResponse& response) {
  std::vector<std::string> refusals;
  for (size_t i = 0; i < requests.size(); ++i) {
    v1::ApplyResponse::App& app = *response.mutable_apps(static_cast<int>(i));
    // A release that is there already is not refused for what became of the nodes.
    const bool is_new = app.revision() != app.old_revision();
    for (const Finding& finding : CheckFeasible(requests[i].config, app.replicas(), nodes)) {
      if (finding.hopeless && is_new && !force) {
        refusals.push_back(specs.app_origins[i].Complain(
            finding.field,
            absl::StrCat(finding.text, "; label a node, or apply it all the same with --force")));
      } else {
        app.add_warnings(absl::StrCat(finding.field, ": ", finding.text));
      }
    }
  }
  if (refusals.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(refusals, "\n"));
}

}  // namespace

absl::Status AdminService::ApplySpecs(const v1::ApplyRequest& request, const ParsedSpecs& specs,
                                      v1::ApplyResponse& response, Cluster& cluster, Instant now,
                                      Effects& effects, Verdict& verdict) {
  const std::vector<Gateway> gateways_before = cluster.GetGateways();
  PANDO_RETURN_IF_ERROR(CheckGatewayBasis(request, gateways_before));
  for (const auto& [name, based_on] : request.if_generations()) {
    PANDO_RETURN_IF_ERROR(CheckBasis(cluster, {name}, based_on, verdict));
  }
  std::vector<std::optional<AppStatus>> before;
  for (const v1::AppSpec& spec : specs.apps) {
    const absl::StatusOr<AppStatus> status = cluster.GetApp({spec.name()});
    before.push_back(status.ok() ? std::optional(*status) : std::nullopt);
  }
  std::vector<Gateway> gateways;
  for (const v1::Gateway& spec : specs.gateways) gateways.push_back(ToGateway(spec));
  const std::vector<AppRequest> requests = ToAppRequests(specs);
  // Asked first, done when nothing is against it.
  ApplyOptions how{
      .dry_run = true, .force = request.options().force(), .origin = OriginOf(request.options())};
  auto outcomes = cluster.Apply(requests, gateways, how, now, effects);
  if (!outcomes.ok()) return Locate(outcomes.status(), specs);
  for (size_t i = 0; i < outcomes->size(); ++i) {
    *response.add_apps() =
        DescribeApp((*outcomes)[i], before[i] ? &*before[i] : nullptr, specs.apps[i]);
  }
  PANDO_RETURN_IF_ERROR(
      CheckNodes(specs, requests, request.options().force(), cluster.GetNodes(now), response));
  if (!request.dry_run()) {
    how.dry_run = false;
    outcomes = cluster.Apply(requests, gateways, how, now, effects);
    PANDO_RETURN_IF_ERROR(outcomes.status());
  }
  for (size_t i = 0; i < gateways.size(); ++i) {
    const Gateway* old = Find(gateways_before, gateways[i].name);
    *response.add_gateway_plans() = DescribeGateway(old, specs.gateways[i]);
    if (old == nullptr || *old != gateways[i]) response.add_gateways(gateways[i].name);
  }
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* AdminService::Apply(Context* context, const v1::ApplyRequest* request,
                                              v1::ApplyResponse* response) {
  absl::StatusOr<ParsedSpecs> specs = ParseSpecs(FilesOf(*request));
  absl::Status good = specs.status();
  if (good.ok()) good = ResolveSources(artifacts_, request->dry_run(), *specs);
  if (!good.ok()) {
    Unary* reactor = context->DefaultReactor();
    reactor->Finish(ToGrpc(good));
    return reactor;
  }
  return Decide(context, {"Apply", request->options(), *response, request->dry_run()},
                [this, request, response, specs = *std::move(specs)](
                    Cluster& cluster, Instant now, Effects& effects, Verdict& verdict) {
                  return ApplySpecs(*request, specs, *response, cluster, now, effects, verdict);
                });
}

}  // namespace pando::controller
