// Completion scripts for shells, made from the command line's own description, so they never list
// a flag that is not there. Names of apps, instances and nodes come from `ctl __complete`.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace pando::ctl {

enum class Shell { kBash, kZsh, kFish };

std::string CompletionScript(Shell shell, const CLI::App& root);

}  // namespace pando::ctl
