// `source`: where an app's code comes from.
#pragma once

#include <string>

#include "controller/spec/input.h"
#include "pando/v1/spec.pb.h"

namespace pando::controller {

namespace v1 = ::pando::v1;

// A name ("./app@sha256:...", "sha256:..."), or a map {dir, install, install_timeout}.
void ReadSource(const Input& value, v1::Source& into);

// `dir` of an app with a source: inside of it. Empty: it is the source itself. Nothing: it is not
// inside.
std::optional<std::string> ResolveDirInSource(const std::string& dir);

}  // namespace pando::controller
