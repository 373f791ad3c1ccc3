// The `strategy` part of an app: how a new release replaces the one before.
#pragma once

#include <yaml-cpp/emitter.h>

#include "controller/spec/input.h"
#include "pando/v1/spec.pb.h"

namespace pando::controller {

namespace v1 = ::pando::v1;

v1::Strategy DefaultStrategy();
// Reads over what `into` holds; mistakes are told by `value`.
void ReadStrategy(const Input& value, v1::Strategy& into);
// As a map that ReadStrategy reads back.
void EmitStrategy(YAML::Emitter& out, const v1::Strategy& strategy);

}  // namespace pando::controller
