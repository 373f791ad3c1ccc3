// What operators ask: every check comes before the first change.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "controller/core/blame.h"
#include "controller/core/cluster_core.h"
#include "controller/core/no_such.h"
#include "controller/core/routing.h"

namespace pando::controller {
namespace {

constexpr uint32_t kMostReplicas = 10'000;

absl::Status CheckReplicas(const AppId& app, int64_t replicas) {
  if (replicas >= 0 && replicas <= kMostReplicas) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      app.value, ": replicas ", replicas, " is out of range (allowed: 0 to ", kMostReplicas, ")"));
}

absl::Status BeingRemoved(const AppId& app) {
  return absl::FailedPreconditionError(
      absl::StrCat(app.value, " is being removed; its instances are still draining"));
}

// What a gateway, or its redirect, listens on.
struct Claim {
  std::string gateway;
  std::string address;
  uint16_t port = 0;
  std::string field;
};

bool IsV6(const std::string& address) { return address.find(':') != std::string::npos; }

bool IsAny(const std::string& address) { return address == "0.0.0.0" || address == "::"; }

std::string Spell(const Claim& claim) {
  return IsV6(claim.address) ? absl::StrCat("[", claim.address, "]:", claim.port)
                             : absl::StrCat(claim.address, ":", claim.port);
}

// Proxies listen on "::" for IPv6 alone, so it may stand beside 0.0.0.0.
bool Overlap(const Claim& a, const Claim& b) {
  if (a.port != b.port || IsV6(a.address) != IsV6(b.address)) return false;
  return a.address == b.address || IsAny(a.address) || IsAny(b.address);
}

std::vector<Claim> ClaimsOf(const Gateway& gateway) {
  std::vector<Claim> claims = {{gateway.name, gateway.address, gateway.port, "port"}};
  if (gateway.tls && gateway.tls->redirect_from != 0) {
    claims.push_back({gateway.name, gateway.address, gateway.tls->redirect_from, "tls.redirect"});
  }
  return claims;
}

std::string DescribeOverlap(const Claim& a, const Claim& b) {
  if (a.address == b.address) {
    return absl::StrCat("gateways ", a.gateway, " and ", b.gateway, " both claim ", Spell(a));
  }
  return absl::StrCat("gateways ", a.gateway, " and ", b.gateway, " both claim port ", a.port, ": ",
                      Spell(a), " and ", Spell(b), " overlap");
}

// `asked`: those that are new or changed; the blame is theirs. What others have among themselves
// stops nobody.
absl::Status CheckGateways(const std::map<std::string, Gateway>& gateways,
                           const std::set<std::string>& asked) {
  std::vector<Claim> claims;
  for (const auto& [name, gateway] : gateways) {
    const bool redirects = gateway.tls && gateway.tls->redirect_from != 0;
    if (redirects && gateways.contains(gateway.RedirectName())) {
      const bool is_asked = asked.contains(gateway.RedirectName());
      return WithBlame(absl::InvalidArgumentError(absl::StrCat(
                           "gateway ", gateway.RedirectName(),
                           ": the name is that of the redirect to ", name, " (choose another)")),
                       {Blame::Kind::kGateway, is_asked ? gateway.RedirectName() : name, "name"});
    }
    const bool is_asked = asked.contains(name);
    for (Claim& claim : ClaimsOf(gateway)) {
      const auto other = std::find_if(claims.begin(), claims.end(), [&](const Claim& earlier) {
        return Overlap(earlier, claim) && (is_asked || asked.contains(earlier.gateway));
      });
      if (other != claims.end()) {
        return WithBlame(absl::InvalidArgumentError(DescribeOverlap(*other, claim)),
                         {Blame::Kind::kGateway, is_asked ? name : other->gateway,
                          is_asked ? claim.field : other->field});
      }
      claims.push_back(std::move(claim));
    }
  }
  return absl::OkStatus();
}

std::string By(const Origin& origin) {
  return origin.by.empty() ? "" : absl::StrCat(", by ", origin.by);
}

// Why a release like this one was rolled back; empty when none was, or another one like it was live
// since.
std::string KnownBad(const AppEntry& entry, const RevisionConfig& config) {
  for (auto it = entry.revisions.rbegin(); it != entry.revisions.rend(); ++it) {
    const Revision& revision = it->second;
    if (revision.config != config) continue;
    if (revision.result != ReleaseResult::kRolledBack) return "";
    return absl::StrCat("this is what r", revision.number,
                        " was, which was rolled back: ", revision.result_detail);
  }
  return "";
}

}  // namespace

absl::StatusOr<std::vector<ApplyOutcome>> Cluster::Core::Apply(
    const std::vector<AppRequest>& requests, const std::vector<Gateway>& gateways,
    const ApplyOptions& options) {
  std::vector<PlannedApp> plans;
  std::set<AppId> named;
  for (const AppRequest& request : requests) {
    if (!named.insert(request.app).second) {
      return absl::InvalidArgumentError(absl::StrCat(request.app.value, " is specified twice"));
    }
    PANDO_ASSIGN_OR_RETURN(PlannedApp plan, PlanApp(request, options));
    plans.push_back(std::move(plan));
  }
  std::map<AppId, const RevisionConfig*> planned;
  for (const PlannedApp& plan : plans) {
    if (plan.revision) planned[plan.app.id] = &plan.revision->config;
  }
  PANDO_RETURN_IF_ERROR(CheckRoutes(planned));
  std::map<std::string, Gateway> new_gateways = gateways_;
  std::set<std::string> asked;
  for (const Gateway& gateway : gateways) {
    new_gateways[gateway.name] = gateway;
    asked.insert(gateway.name);
  }
  PANDO_RETURN_IF_ERROR(CheckGateways(new_gateways, asked));

  std::vector<ApplyOutcome> outcomes;
  bool refused = false;
  for (const PlannedApp& plan : plans) {
    outcomes.push_back(plan.outcome);
    refused |= !plan.outcome.refused.empty();
  }
  if (options.dry_run || refused) return outcomes;

  for (PlannedApp& plan : plans) CommitPlan(std::move(plan), options);
  if (new_gateways != gateways_) {
    for (const auto& [name, gateway] : new_gateways) {
      const auto old = gateways_.find(name);
      if (old == gateways_.end() || old->second != gateway) {
        out_.writes.push_back(PutGateway{gateway});
        AddEvent("gateway-applied", {}, "", {},
                 absl::StrCat(name, old == gateways_.end() ? " is new" : " changed", ", ",
                              gateway.address, ":", gateway.port, gateway.tls ? ", TLS" : ""));
      }
    }
    gateways_ = std::move(new_gateways);
    MarkRoutingChanged();
  }
  return outcomes;
}

absl::StatusOr<Cluster::Core::PlannedApp> Cluster::Core::PlanApp(
    const AppRequest& request, const ApplyOptions& options) const {
  if (request.replicas) PANDO_RETURN_IF_ERROR(CheckReplicas(request.app, *request.replicas));
  const AppEntry* entry = FindApp(request.app);
  if (entry != nullptr && entry->app.removing) return BeingRemoved(request.app);

  PlannedApp plan;
  uint32_t last_revision = 0;
  if (entry == nullptr) {
    plan.app.id = request.app;
    plan.app.replicas = request.replicas.value_or(1);
    plan.outcome.replicas_source = request.replicas ? "spec" : "default";
    plan.changed = true;
  } else {
    plan.app = entry->app;
    last_revision = entry->revisions.empty() ? 0 : entry->revisions.rbegin()->first;
    // Operators own the number of replicas: a spec that says what it said before does not undo
    // what was set since.
    if (request.replicas && request.replicas != entry->app.spec_replicas) {
      plan.app.replicas = *request.replicas;
    }
    if (!request.replicas) {
      plan.outcome.replicas_source = "kept";
    } else if (plan.app.replicas == *request.replicas) {
      plan.outcome.replicas_source = "spec";
    } else {
      plan.outcome.replicas_source =
          absl::StrCat("kept: set by scale, spec says ", *request.replicas);
    }
    plan.changed = plan.app.replicas != entry->app.replicas;
  }
  plan.app.spec_replicas = request.replicas;
  plan.config_changed = entry == nullptr || ConfigOf(*entry, entry->app.revision) != request.config;
  if (plan.config_changed) {
    if (entry != nullptr && !options.force) plan.outcome.refused = KnownBad(*entry, request.config);
    plan.app.revision = last_revision + 1;
    plan.revision = Revision{.app = request.app,
                             .number = plan.app.revision,
                             .config = request.config,
                             .reason = "apply",
                             .origin = options.origin};
    plan.changed = true;
  }
  if (plan.changed) plan.app.generation += 1;

  plan.outcome.app = request.app;
  plan.outcome.old_revision = entry == nullptr ? 0 : entry->app.revision;
  plan.outcome.revision = plan.app.revision;
  plan.outcome.replicas = plan.app.replicas;
  plan.outcome.generation = plan.app.generation;
  return plan;
}

absl::Status Cluster::Core::CheckRoutes(
    const std::map<AppId, const RevisionConfig*>& planned) const {
  std::vector<RoutingConfig::AppRoute> all;
  for (const auto& [id, config] : planned) all.push_back(ToAppRoute(id, *config));
  for (const auto& [id, entry] : apps_) {
    if (entry.app.removing) continue;
    const bool replaced = planned.count(id) > 0;
    if (!replaced) all.push_back(ToAppRoute(id, ConfigOf(entry, entry.app.revision)));
    const uint32_t back = replaced ? LastLive(entry) : StableOf(entry);
    if (back != 0) all.push_back(ToAppRoute(id, ConfigOf(entry, back)));
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& x, const auto& y) { return x.app < y.app; });
  if (const auto conflict = FindRouteConflict(all)) {
    // Of two that are asked for now, the second.
    const AppId& to_blame = planned.contains(conflict->second) ? conflict->second : conflict->first;
    return WithBlame(
        absl::InvalidArgumentError(absl::StrCat(
            conflict->text, "; give one of them other route.hosts or another route.path")),
        {Blame::Kind::kApp, to_blame.value, "route"});
  }
  return absl::OkStatus();
}

absl::Status Cluster::Core::CheckRoutesOf(const AppId& id, const RevisionConfig& config) const {
  return CheckRoutes({{id, &config}});
}

uint32_t Cluster::Core::ReplaceRelease(AppEntry& entry) {
  const uint32_t live = LastLive(entry);
  const auto found = entry.revisions.find(entry.app.revision);
  if (found != entry.revisions.end() && found->second.result == ReleaseResult::kPending) {
    SetResult(entry, entry.app.revision, ReleaseResult::kReplaced, "");
  }
  return live;
}

void Cluster::Core::CommitPlan(PlannedApp plan, const ApplyOptions& options) {
  const AppId id = plan.app.id;
  AppEntry& entry = apps_[id];
  entry.table.app = id;
  if (entry.app != plan.app) touched_apps_.insert(id);
  const uint32_t before = plan.revision ? ReplaceRelease(entry) : 0;
  entry.app = std::move(plan.app);
  if (plan.revision) {
    out_.writes.push_back(PutRevision{*plan.revision});
    entry.revisions[plan.revision->number] = *std::move(plan.revision);
    BeginRollout(entry, before, /*direct=*/false);
  }
  if (plan.changed) {
    AddEvent("applied", id, "", {},
             absl::StrCat("revision ", plan.outcome.old_revision, " -> ", plan.outcome.revision,
                          ", replicas ", plan.outcome.replicas, " (", plan.outcome.replicas_source,
                          ")", By(options.origin)));
  }
  dirty_.insert(id);
}

absl::Status Cluster::Core::RemoveGateway(const std::string& name) {
  if (gateways_.erase(name) == 0) return NoSuch("gateway", name, gateways_);
  out_.writes.push_back(DeleteGateway{name});
  AddEvent("gateway-removed", {}, "", {}, name);
  MarkRoutingChanged();
  return absl::OkStatus();
}

absl::StatusOr<AppEntry*> Cluster::Core::FindChangeable(const AppId& id) {
  AppEntry* entry = FindApp(id);
  if (entry == nullptr) return NoSuch("app", id.value, apps_);
  if (entry->app.removing) return BeingRemoved(id);
  return entry;
}

ChangeOutcome Cluster::Core::Outcome(const AppEntry& entry, uint32_t old_replicas) {
  return {.app = entry.app.id,
          .old_replicas = old_replicas,
          .replicas = entry.app.replicas,
          .revision = entry.app.revision,
          .generation = entry.app.generation};
}

absl::StatusOr<ChangeOutcome> Cluster::Core::ScaleTo(const AppId& id, int64_t replicas,
                                                     bool relative) {
  PANDO_ASSIGN_OR_RETURN(AppEntry * entry, FindChangeable(id));
  const uint32_t old = entry->app.replicas;
  if (relative) replicas += old;
  PANDO_RETURN_IF_ERROR(CheckReplicas(id, replicas));
  if (replicas != old) {
    entry->app.replicas = static_cast<uint32_t>(replicas);
    entry->app.generation += 1;
    touched_apps_.insert(id);
    dirty_.insert(id);
    AddEvent("scaled", id, "", {}, absl::StrCat("replicas ", old, " -> ", replicas));
  }
  return Outcome(*entry, old);
}

absl::StatusOr<ChangeOutcome> Cluster::Core::Scale(const AppId& id, uint32_t replicas) {
  return ScaleTo(id, replicas, /*relative=*/false);
}

absl::StatusOr<ChangeOutcome> Cluster::Core::ScaleBy(const AppId& id, int32_t delta) {
  return ScaleTo(id, delta, /*relative=*/true);
}

absl::StatusOr<ChangeOutcome> Cluster::Core::SetStopped(const AppId& id, bool stopped) {
  PANDO_ASSIGN_OR_RETURN(AppEntry * entry, FindChangeable(id));
  if (entry->app.stopped != stopped) {
    entry->app.stopped = stopped;
    entry->app.generation += 1;
    touched_apps_.insert(id);
    dirty_.insert(id);
    AddEvent(stopped ? "stopped" : "started", id, "", {}, "");
  }
  return Outcome(*entry, entry->app.replicas);
}

absl::StatusOr<ChangeOutcome> Cluster::Core::Restart(const AppId& id, const Origin& origin) {
  PANDO_ASSIGN_OR_RETURN(AppEntry * entry, FindChangeable(id));
  Revision revision{.app = id,
                    .number = entry->revisions.rbegin()->first + 1,
                    .config = ConfigOf(*entry, entry->app.revision),
                    .reason = "restart",
                    .origin = origin};
  const uint32_t before = ReplaceRelease(*entry);
  entry->app.revision = revision.number;
  entry->app.generation += 1;
  out_.writes.push_back(PutRevision{revision});
  entry->revisions[entry->app.revision] = std::move(revision);
  BeginRollout(*entry, before, /*direct=*/false);
  AddEvent("restarted", id, "", {}, absl::StrCat("revision ", entry->app.revision, By(origin)));
  return Outcome(*entry, entry->app.replicas);
}

absl::StatusOr<ChangeOutcome> Cluster::Core::Remove(const AppId& id) {
  AppEntry* entry = FindApp(id);
  if (entry == nullptr) return NoSuch("app", id.value, apps_);
  if (!entry->app.removing) {
    entry->app.removing = true;
    entry->app.generation += 1;
    touched_apps_.insert(id);
    dirty_.insert(id);
    MarkRoutingChanged();
    AddEvent("removed", id, "", {}, "");
  }
  return Outcome(*entry, entry->app.replicas);
}

}  // namespace pando::controller
