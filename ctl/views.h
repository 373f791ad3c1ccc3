// A ClusterView as people and programs see it: the screens of status, ps, nodes and proxies.
// Pure: the view carries the controller's clock.
#pragma once

#include <string>

#include "ctl/output.h"
#include "pando/v1/admin.pb.h"

namespace pando::ctl {

enum class Screen { kStatus, kInstances, kNodes, kProxies };

struct ViewStyle {
  bool wide = false;
  bool color = false;
};

// For kTable and kWide. Never empty: says so when there is nothing to show.
std::string ScreenText(Screen screen, const v1::ClusterView& view, ViewStyle style);

// For kJson and kYaml: status is {"cluster":{...},"apps":[...],"gateways":[...]}, the others are
// {"instances":[...]}, {"nodes":[...]}, {"proxies":[...]}. Compact JSON.
std::string ScreenJson(Screen screen, const v1::ClusterView& view);

// For kName: one name a line.
std::string ScreenNames(Screen screen, const v1::ClusterView& view);

}  // namespace pando::ctl
