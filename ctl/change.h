// The second half of every command that changes something: wait until it has arrived, tell how it
// went.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ctl/command.h"
#include "ctl/wait.h"

namespace pando::ctl {

struct Change {
  WaitTarget target;
  v1::ChangeResponse accepted;
  Instant began;
  std::string plan{};  // JSON: what differed and what is done, of an apply
};

// Waits for each in turn (unless --detach), prints a result line each, or one document for all:
// {"changes":[{"app","old_replicas","replicas","revision","generation","outcome","seconds",
// "message","status"}]}, of an apply with its "plan". Returns the first code that is not kOk.
ExitCode FinishChanges(Context& context, const std::vector<Change>& changes);

// The same for what is over as soon as the controller has said so. `app`: as it is now, or nullptr.
ExitCode FinishChange(Context& context, const v1::ChangeResponse& accepted, ExitCode outcome,
                      const std::string& message, const v1::AppView* app = nullptr);

// For what is not an app and done at once: "node-2 cordoned", {"name","outcome"}.
void PrintDone(Context& context, const std::string& name, const std::string& outcome);

// "ok", "rollout-failed", "not-placed", "timeout", ...: the word for `outcome` in documents.
std::string_view OutcomeWord(ExitCode outcome);

}  // namespace pando::ctl
