// The keys `health`, `startup` and `liveness` of an app: what is asked, and how often. And back.
#pragma once

#include <yaml-cpp/emitter.h>

#include "controller/spec/input.h"
#include "pando/v1/spec.pb.h"

namespace pando::controller {

namespace v1 = ::pando::v1;

// A connection to the port, every second.
v1::HealthCheck DefaultHealth();

// Each fills in the defaults of its key.
void ReadHealth(const Input& value, v1::HealthCheck& into);
void ReadStartup(const Input& value, v1::HealthCheck& into);
void ReadLiveness(const Input& value, v1::HealthCheck& into);

// All three, those that are there.
void EmitHealth(YAML::Emitter& out, const v1::AppSpec& spec);

}  // namespace pando::controller
