// The parts of an app's spec that say as whom an instance runs, what it sees of its node, and which
// files its environment comes from: isolation, env_files.
#pragma once

#include <yaml-cpp/emitter.h>

#include "controller/spec/input.h"
#include "pando/v1/spec.pb.h"

namespace pando::controller {

void ReadIsolation(const Input& value, v1::AppSpec& into);
void ReadEnvFiles(const Input& value, v1::AppSpec& into);

// Keys and values of what the spec says.
void EmitIsolation(YAML::Emitter& out, const v1::AppSpec& spec);
void EmitEnvFiles(YAML::Emitter& out, const v1::AppSpec& spec);

}  // namespace pando::controller
