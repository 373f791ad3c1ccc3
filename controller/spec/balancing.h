// The parts of an app's spec that say how proxies spread requests: load_balancing, concurrency,
// queue, outliers.
#pragma once

#include <yaml-cpp/emitter.h>

#include "controller/spec/input.h"
#include "pando/v1/spec.pb.h"

namespace pando::controller {

void ReadLoadBalancing(const Input& value, v1::AppSpec& into);
void ReadConcurrency(const Input& value, v1::AppSpec& into);
void ReadQueue(const Input& value, v1::AppSpec& into);
void ReadOutliers(const Input& value, v1::AppSpec& into);

// Keys and values of all of them that the spec says.
void EmitBalancing(YAML::Emitter& out, const v1::AppSpec& spec);

}  // namespace pando::controller
