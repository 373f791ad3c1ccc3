// Which orders an agent obeys: those of its own cluster, never of an older leader than it heard of.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace pando::agent {

struct Authority {
  std::string cluster_id;  // empty: not known yet
  uint64_t term = 0;
};

// `known` is what the agent obeyed last. kFailedPrecondition says why `speaker` is not obeyed.
inline absl::Status CheckAuthority(const Authority& known, const Authority& speaker) {
  if (!known.cluster_id.empty() && speaker.cluster_id != known.cluster_id) {
    return absl::FailedPreconditionError(absl::StrCat("this agent belongs to cluster ",
                                                      known.cluster_id, ", the controller is of \"",
                                                      speaker.cluster_id, "\""));
  }
  if (speaker.term < known.term) {
    return absl::FailedPreconditionError(
        absl::StrCat("term ", speaker.term, " is over, the agent has heard of term ", known.term));
  }
  return absl::OkStatus();
}

}  // namespace pando::agent
