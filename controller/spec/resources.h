// The part of an app's spec that says what an instance is expected to use, and what it may use at
// most.
#pragma once

#include <yaml-cpp/emitter.h>

#include "controller/spec/input.h"
#include "pando/v1/spec.pb.h"

namespace pando::controller {

void ReadResources(const Input& value, v1::Resources& into);
// Key and value, if the spec says anything of it.
void EmitResources(YAML::Emitter& out, const v1::Resources& resources);

}  // namespace pando::controller
