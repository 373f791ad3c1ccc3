// Which field of which app or gateway an error is about, carried by the status itself: the core
// knows names, the shell knows where in which file they are written.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"

namespace pando::controller {

struct Blame {
  enum class Kind { kApp, kGateway };
  Kind kind = Kind::kApp;
  std::string name;
  std::string field;  // as in the spec: "route.hosts"

  bool operator==(const Blame&) const = default;
};

// `error` with the blame; what was there before is replaced.
absl::Status WithBlame(absl::Status error, const Blame& blame);
std::optional<Blame> BlameOf(const absl::Status& status);

}  // namespace pando::controller
