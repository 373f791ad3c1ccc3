#include "controller/service/artifact_sources.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "artifact/core/source_name.h"
#include "common/runtime/log.h"

namespace pando::controller {

absl::Status ResolveSources(const ArtifactStore& artifacts, bool dry_run, ParsedSpecs& specs) {
  std::vector<std::string> missing;
  for (size_t i = 0; i < specs.apps.size(); ++i) {
    v1::AppSpec& app = specs.apps[i];
    if (!app.has_source()) continue;
    const ArtifactStore::Kept kept = artifacts.Find(app.source().digest());
    if (kept.complete) {
      app.mutable_source()->set_size_bytes(kept.bytes);
    } else if (!dry_run) {
      missing.push_back(specs.app_origins[i].Complain(
          "source",
          absl::StrCat("the controller does not have ", artifact::DigestName(app.source().digest()),
                       " (upload it with: ctl push ",
                       app.source().dir().empty() ? "DIR" : app.source().dir(), ")")));
    }
  }
  if (missing.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(missing, "\n"));
}

void ArtifactCollector::Collect(const Cluster& cluster, WallTime unused_since) {
  Digests digests;
  std::set<std::string> needed;
  for (const Revision* revision : cluster.Revisions()) {
    const std::pair<AppId, uint32_t> key{revision->app, revision->number};
    std::string digest;
    if (const auto known = digests_.find(key); known != digests_.end()) {
      digest = known->second;
    } else if (v1::AppSpec spec; spec.ParseFromString(revision->config.payload)) {
      digest = spec.source().digest();
    }
    if (!digest.empty()) needed.insert(digest);
    digests.emplace(key, std::move(digest));
  }
  digests_ = std::move(digests);
  std::vector<std::string> collected = artifacts_.Collect(needed, unused_since);
  if (collected.empty()) return;
  LogInfo("artifacts dropped", {{"count", absl::StrCat(collected.size())}});
  deletes_ = std::jthread([collected = std::move(collected)] { ArtifactStore::Delete(collected); });
}

}  // namespace pando::controller
