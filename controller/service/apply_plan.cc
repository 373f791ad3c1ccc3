#include "controller/service/apply_plan.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controller/spec/diff.h"
#include "controller/spec/parse.h"
#include "controller/store/records.h"

namespace pando::controller {
namespace {

void AddChanges(const std::vector<FieldDifference>& differences,
                google::protobuf::RepeatedPtrField<v1::ApplyResponse::FieldChange>& into) {
  for (const FieldDifference& difference : differences) {
    v1::ApplyResponse::FieldChange& change = *into.Add();
    change.set_field(difference.field);
    change.set_old_value(difference.old_value);
    change.set_new_value(difference.new_value);
  }
}

std::string Instances(uint32_t count) {
  return absl::StrCat(count, count == 1 ? " instance" : " instances");
}

// "2 at a time, the new ones first"
std::string PaceOf(const Strategy& strategy, uint32_t replicas, uint32_t replaced) {
  const RolloutLimits limits = LimitsOf(strategy, replicas);
  const bool new_first = limits.surge > 0;
  const uint32_t at_once = limits.surge + limits.unavailable;
  const size_t steps = StepsOf(strategy, replicas).size();
  return absl::StrCat(replaced == 1         ? "the "
                      : at_once >= replaced ? "all at once, the "
                                            : absl::StrCat(at_once, " at a time, the "),
                      new_first ? "new" : "old", replaced == 1 ? " one first" : " ones first",
                      steps > 1 ? absl::StrCat(", in ", steps, " steps") : "");
}

std::vector<std::string> StepsOf(const ApplyOutcome& outcome, const AppStatus* before,
                                 const Strategy& strategy) {
  const bool new_release = outcome.revision != outcome.old_revision;
  const uint32_t old_replicas = before == nullptr ? 0 : before->app.replicas;
  if (!new_release && outcome.replicas == old_replicas) return {};
  if (before != nullptr && before->app.stopped) {
    return {absl::StrCat("starts nothing: the app is stopped (ctl start ", outcome.app.value, ")")};
  }
  if (before == nullptr) {
    if (outcome.replicas == 0) return {"starts nothing: replicas is 0"};
    return {absl::StrCat("starts ", Instances(outcome.replicas))};
  }
  std::vector<std::string> steps;
  const uint32_t replaced = std::min(old_replicas, outcome.replicas);
  if (new_release && replaced > 0) {
    steps.push_back(absl::StrCat("replaces ", Instances(replaced), ", ",
                                 PaceOf(strategy, outcome.replicas, replaced)));
  }
  if (outcome.replicas > old_replicas) {
    steps.push_back(absl::StrCat("starts ", outcome.replicas - old_replicas, " more"));
  } else if (outcome.replicas < old_replicas) {
    steps.push_back(absl::StrCat("drains and stops ", old_replicas - outcome.replicas));
  }
  if (steps.empty()) steps.emplace_back("starts nothing: replicas is 0");
  return steps;
}

}  // namespace

v1::ApplyResponse::App DescribeApp(const ApplyOutcome& outcome, const AppStatus* before,
                                   const v1::AppSpec& spec) {
  v1::ApplyResponse::App app;
  app.set_name(outcome.app.value);
  app.set_old_revision(outcome.old_revision);
  app.set_revision(outcome.revision);
  app.set_replicas(outcome.replicas);
  app.set_replicas_source(outcome.replicas_source);
  app.set_generation(outcome.generation);
  app.set_refused(outcome.refused);
  for (const std::string& step : StepsOf(outcome, before, ToRevisionConfig(spec).strategy)) {
    app.add_steps(step);
  }
  if (before == nullptr) return app;
  app.set_old_generation(before->app.generation);
  app.set_old_replicas(before->app.replicas);
  AddChanges(DiffSpecs(ToAppSpec(before->config), spec), *app.mutable_changes());
  if (outcome.replicas != before->app.replicas) {
    AddChanges({{"replicas", absl::StrCat(before->app.replicas), absl::StrCat(outcome.replicas)}},
               *app.mutable_changes());
  }
  return app;
}

v1::ApplyResponse::GatewayPlan DescribeGateway(const Gateway* before, const v1::Gateway& spec) {
  v1::ApplyResponse::GatewayPlan plan;
  plan.set_name(spec.name());
  v1::Gateway old;
  if (before != nullptr) {
    plan.set_old_version(FingerprintOf(*before));
    old = ToGatewaySpec(*before);
  }
  AddChanges(DiffGateways(old, spec), *plan.mutable_changes());
  return plan;
}

uint64_t FingerprintOf(const Gateway& gateway) {
  // FNV-1a: must be the same in every process, and keeps no secret.
  uint64_t hash = 0xcbf29ce484222325;
  for (const char byte : ToYaml(ToGatewaySpec(gateway))) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  }
  return hash == 0 ? 1 : hash;
}

}  // namespace pando::controller
