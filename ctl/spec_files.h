// Spec files, as the commands that take -f FILE send them: all in one request, so that they are
// applied together or not at all.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "ctl/terminal.h"
#include "pando/v1/admin.pb.h"

namespace pando::ctl {

// "-" is standard input. kInvalidArgument names the file and what is wrong with it.
absl::StatusOr<v1::ApplyRequest> ReadSpecFiles(const Terminal& terminal,
                                               const std::vector<std::string>& files);

}  // namespace pando::ctl
