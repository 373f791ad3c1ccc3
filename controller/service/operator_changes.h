// Changes that operators make: who made them, and what one is told whose change is based on a state
// that another one has changed since.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "controller/core/cluster.h"
#include "controller/service/timeline.h"
#include "pando/v1/admin.pb.h"

namespace pando::controller {

namespace v1 = ::pando::v1;

// kInvalidArgument names the field, the value and what is allowed.
absl::Status CheckOptions(const v1::ChangeOptions& options);

// Adds ", by ana@laptop" to those of the events that say what an operator did.
void NoteBy(const std::string& by, std::vector<TimelineEvent>& events);

// Somebody else was first.
struct Conflict {
  AppId app;
  uint64_t based_on = 0;  // the generation the change was decided on; 0: there was no such app
  uint64_t present = 0;   // likewise
};

// What the others did meanwhile, by whom and when, as far as the timeline tells.
std::string DescribeConflict(const Conflict& conflict, const Timeline& timeline);

}  // namespace pando::controller
