// A LoadView as people and programs see it: the screens of `ctl top`, and the load under the apps
// of `ctl status`. Pure.
#pragma once

#include <string>

#include "ctl/views.h"
#include "pando/v1/admin.pb.h"

namespace pando::ctl {

enum class TopScreen { kApps, kInstances, kNodes };
enum class TopSort { kName, kCpu, kMemory, kRequests, kErrors, kP99, kInFlight };

// The busiest first unless sorted by name. Never empty.
std::string TopText(TopScreen screen, TopSort sort, const v1::LoadView& view, ViewStyle style);
// {"apps":[...]}, {"instances":[...]} or {"nodes":[...]}. Compact JSON.
std::string TopJson(TopScreen screen, TopSort sort, const v1::LoadView& view);

// A line for each app with its last minutes drawn small; empty when there is no app.
std::string LoadText(const v1::LoadView& view, ViewStyle style);

}  // namespace pando::ctl
