// The directories a spec names as its sources, and where in the text it does.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ctl/command.h"
#include "pando/v1/admin.pb.h"

namespace pando::ctl {

// Of one `source: ./app` or `source: {dir: ./app}` that has no digest yet.
struct SourceSpot {
  size_t begin = 0;  // of the scalar, with its quotes
  size_t end = 0;
  int line = 0;  // from 1
  std::string dir;

  bool operator==(const SourceSpot&) const = default;
};

// In the order of the text. Nothing when it is no YAML: the controller says what is wrong with it.
// kInvalidArgument: a directory that is written over several lines.
absl::StatusOr<std::vector<SourceSpot>> FindSources(const std::string& yaml);

// The text with `digest_of` each; its lines stay where they are. `spots` are those of FindSources.
std::string WithDigests(const std::string& yaml, const std::vector<SourceSpot>& spots,
                        const std::function<std::string(const SourceSpot&)>& digest_of);

// Packs every source of the spec files, gives the controller what it lacks (unless `dry_run`), and
// puts their digests into the texts. Relative directories are relative to their file. Errors name
// the file and the line.
absl::Status FillSources(Context& context, bool dry_run, v1::ApplyRequest& request);

}  // namespace pando::ctl
