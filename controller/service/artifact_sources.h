// Where a spec's source and the artifacts that are kept come together.
#pragma once

#include <map>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "controller/core/cluster.h"
#include "controller/service/artifact_store.h"
#include "controller/spec/parse.h"

namespace pando::controller {

// Fills in the size of each app's source. kInvalidArgument: some are not kept here, a line for each
// with its place in the file. With `dry_run` that is no error, since nothing was uploaded for it.
absl::Status ResolveSources(const ArtifactStore& artifacts, bool dry_run, ParsedSpecs& specs);

// Drops the artifacts no kept revision names. Used on the loop.
class ArtifactCollector {
 public:
  explicit ArtifactCollector(ArtifactStore& artifacts) : artifacts_(artifacts) {}

  // Those used since `unused_since` stay: an upload comes before the spec that names it.
  void Collect(const Cluster& cluster, WallTime unused_since);

 private:
  // A revision never changes: each is read once.
  using Digests = std::map<std::pair<AppId, uint32_t>, std::string>;

  ArtifactStore& artifacts_;
  Digests digests_;
  std::jthread deletes_;  // a large file's end takes its time
};

}  // namespace pando::controller
