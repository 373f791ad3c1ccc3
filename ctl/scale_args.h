// The ways to say how many: `web 8`, `web=8`, `web +2`, `web -1`, `web --replicas 8`, each also
// without the app.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "pando/v1/admin.pb.h"

namespace pando::ctl {

// `replicas` is the value of --replicas, empty without it. Errors are for the user.
absl::StatusOr<v1::ScaleRequest> ParseScaleArgs(const std::vector<std::string>& words,
                                                const std::string& replicas);

}  // namespace pando::ctl
